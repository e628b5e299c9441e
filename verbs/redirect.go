package verbs

import (
	"context"

	"github.com/callengine/callengine/webhook"
)

// Redirect fetches the next document from another URL. It does not answer the call.
type Redirect struct {
	heading
	Target webhook.Target // its URLs as in the document
	Tag    *string
}

var redirectDef = definition{
	name: "Redirect",
	attributes: []attribute{
		urlAttr("redirectUrl").needed(),
		methodAttr("redirectMethod"),
		urlAttr("redirectFallbackUrl"),
		methodAttr("redirectFallbackMethod"),
		userAttr("username", "redirectUrl"),
		passwordAttr("password", "redirectUrl"),
		userAttr("fallbackUsername", "redirectFallbackUrl"),
		passwordAttr("fallbackPassword", "redirectFallbackUrl"),
		tagAttr(),
	},
	inTransferAnswer: true,
	read: func(n *node) Verb {
		to := webhook.Target{
			URL:    n.str("redirectUrl"),
			Method: n.str("redirectMethod"),
			Auth:   n.auth("username", "password"),
		}
		if n.has("redirectFallbackUrl") {
			to.Fallback = &webhook.Target{
				URL:    n.str("redirectFallbackUrl"),
				Method: n.str("redirectFallbackMethod"),
				Auth:   n.auth("fallbackUsername", "fallbackPassword"),
			}
		}
		return &Redirect{heading: n.heading(), Target: to, Tag: n.optional("tag")}
	},
}

// Execute replaces the document by the reply to the redirect event.
func (r *Redirect) Execute(ctx context.Context, call Call) (Outcome, error) {
	setTag(call, r.Tag)
	reply, err := call.Ask(ctx, r.Target, webhook.NewRedirect(call.Info()))
	if err = ended(ctx, err); err != nil {
		return Outcome{}, err
	}
	return Outcome{Replace: &reply}, nil
}
