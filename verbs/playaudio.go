package verbs

import (
	"context"

	"github.com/callengine/callengine/webhook"
)

// PlayAudio plays an audio file.
type PlayAudio struct {
	heading
	URL  string // as in the document
	Auth *webhook.BasicAuth
}

var playAudioDef = definition{
	name: "PlayAudio",
	attributes: []attribute{
		userAttr("username", textName),
		passwordAttr("password", textName),
	},
	text:             text{requiredText, formatURL},
	inTransferAnswer: true,
	inConference:     true,
	read: func(n *node) Verb {
		return &PlayAudio{n.heading(), n.text, n.auth("username", "password")}
	},
}

// Execute needs a [Player].
func (p *PlayAudio) Execute(ctx context.Context, call Call) (Outcome, error) {
	player, ok := call.(Player)
	if !ok {
		return Outcome{}, p.lacks("play audio")
	}
	if err := call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	absolute, err := call.URL(p.URL)
	if err != nil {
		return Outcome{}, &ActionError{Verb: p.name, Reason: err.Error(), Err: err}
	}
	return Outcome{}, ended(ctx, player.PlayURL(ctx, absolute, p.Auth))
}
