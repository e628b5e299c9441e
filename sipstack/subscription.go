package sipstack

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// eventRefer is the event package of the subscription that a REFER makes (RFC 3515 section 2.4.4).
const eventRefer = "refer"

// referHeaders returns the header fields of a REFER that no other request in the dialog has. The angle brackets keep the
// URI's own parameters and headers out of the field's. What would break out of them is refused.
func referHeaders(target, referredBy string) ([]sip.Header, error) {
	for _, uri := range []string{target, referredBy} {
		if uri == "" || strings.ContainsFunc(uri, breaksURI) {
			return nil, fmt.Errorf("refer: %q is not a URI", uri)
		}
	}
	return []sip.Header{
		sip.NewHeader("Refer-To", "<"+target+">"),
		sip.NewHeader("Referred-By", "<"+referredBy+">"), // RFC 3892
	}, nil
}

func breaksURI(c rune) bool { return c <= ' ' || c == '<' || c == '>' || c == 0x7f }

// report is what a NOTIFY says of its REFER.
type report struct {
	code       int  // of the sipfrag; 0: the body was empty
	terminated bool // the subscription is over
}

// final reports whether the code is one: only 1xx is progress.
func (r report) final() bool { return r.code >= 200 }

// decides reports whether nothing can follow: a final code, or the end of the subscription.
func (r report) decides() bool { return r.final() || r.terminated }

// notifyAnswer is the response to a NOTIFY.
type notifyAnswer struct {
	code   int
	reason string
	hdrs   []sip.Header
}

func badEvent() notifyAnswer {
	// RFC 6665 section 8.3.2 gives the code, and section 8.2.2 the header.
	return notifyAnswer{489, "Bad Event", []sip.Header{sip.NewHeader("Allow-Events", eventRefer)}}
}

func noSubscription() notifyAnswer {
	return notifyAnswer{sip.StatusCallTransactionDoesNotExists, "Subscription Does Not Exist", nil}
}

func badBody() notifyAnswer {
	return notifyAnswer{sip.StatusBadRequest, "Bad Sipfrag", nil}
}

func unsupportedBody() notifyAnswer {
	return notifyAnswer{sip.StatusUnsupportedMediaType, "Unsupported Media Type",
		[]sip.Header{sip.NewHeader("Accept", typeSipfrag)}}
}

// readReport reads a NOTIFY of the refer package; refusal is the response to one that can't be read.
//
// An empty body reports nothing but the state of the subscription, and a missing Subscription-State is taken as active. A
// body without Content-Type, which no NOTIFY may have, is taken for the sipfrag that it has to be if it is one.
func readReport(req *sip.Request) (rep report, refusal *notifyAnswer) {
	rep.terminated = readSubscriptionState(req) == stateTerminated
	body := req.Body()
	if len(bytes.TrimSpace(body)) == 0 {
		return rep, nil
	}
	mediaType, declared := readContentType(req)
	if declared && mediaType != typeSipfrag {
		answer := unsupportedBody()
		return report{}, &answer
	}
	code, _, err := parseSipfrag(body)
	switch {
	case err == nil:
		rep.code = code
		return rep, nil
	case declared:
		answer := badBody()
		return report{}, &answer
	}
	answer := unsupportedBody()
	return report{}, &answer
}
