package verbs

import (
	"strings"
	"time"
)

// forwardDef sends an unanswered call on and gives up control of it.
var forwardDef = definition{
	name: "Forward",
	attributes: []attribute{
		stringAttr("to").needed().as(formatE164OrSIP),
		stringAttr("from").as(formatE164OrKeyword),
		numberAttr("callTimeout").or("30").atLeast(1).atMost(300).in(time.Second),
		diversionTreatmentAttr(),
		diversionReasonAttr(),
		stringAttr("uui").upTo(256).as(formatUUI),
	},
	check: func(c *checker, n *node) {
		if n.has("uui") && strings.HasPrefix(n.str("to"), "+") {
			c.warnf(n.at("uui"), n.name, "uui has an effect only when to is a SIP URI; ignored")
		}
	},
}
