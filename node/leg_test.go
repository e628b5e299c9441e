package node

import (
	"errors"
	"fmt"
	"testing"

	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/verbs"
	"github.com/stretchr/testify/assert"
)

func TestHostOfASIPURIIsWhatReferAllowTargetsLooksAt(t *testing.T) {
	for uri, host := range map[string]string{
		"sip:desk@pbx.example.com":                       "pbx.example.com",
		"sips:desk@PBX.Example.com:5061":                 "pbx.example.com",
		"sip:pbx.example.com":                            "pbx.example.com",
		"sip:desk@192.0.2.1:5060;transport=tcp":          "192.0.2.1",
		"sip:desk@[2001:db8::1]:5060":                    "2001:db8::1",
		"sip:desk@[2001:db8::1]":                         "2001:db8::1",
		"sip:desk:secret@pbx.example.com":                "pbx.example.com",
		"sip:desk@pbx.example.com?Replaces=a%40b":        "pbx.example.com",
		"sip:allowed.example;x?y@evil.example":           "evil.example",
		"sip:desk@evil.example;x=allowed.example?a=b":    "evil.example",
		"sip:pbx.example.com;user=phone?Subject=a%40b.c": "pbx.example.com",
	} {
		t.Run(uri, func(t *testing.T) { assert.Equal(t, host, hostOf(uri)) })
	}
}

func TestEveryErrorOfTheStackThatEndsACallHasItsNameAmongTheVerbs(t *testing.T) {
	for from, to := range map[error]error{
		sipstack.ErrRemoteHangup: verbs.ErrRemoteHangup,
		sipstack.ErrCanceled:     verbs.ErrCanceled,
		sipstack.ErrNoAck:        verbs.ErrNoAck,
		sipstack.ErrNoPrack:      verbs.ErrNoPrack,
		sipstack.ErrNoMedia:      verbs.ErrNoMedia,
		sipstack.ErrDialogLost:   verbs.ErrDialogLost,
	} {
		t.Run(from.Error(), func(t *testing.T) {
			wrapped := fmt.Errorf("answering: %w", from)
			got := translated(wrapped)
			assert.ErrorIs(t, got, to)
			assert.ErrorIs(t, got, from)
			assert.Equal(t, to.Error(), got.Error())
		})
	}
	other := errors.New("something else")
	assert.Equal(t, other, translated(other))
	assert.NoError(t, translated(nil))

	lost := fmt.Errorf("%w: %w", sipstack.ErrDialogLost, &sipstack.StatusError{Method: "OPTIONS", Code: 481})
	assert.Contains(t, translated(lost).Error(), "481", "what the other side said is worth reading")
	expired := fmt.Errorf("%w: %w", sipstack.ErrDialogLost, sipstack.ErrSessionExpired)
	assert.Contains(t, translated(expired).Error(), "not refreshed in time", "and so is why we gave up")
}
