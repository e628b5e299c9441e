package sipstack

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatRemainsOfADialogIsReadBackAsItWas(t *testing.T) {
	b := newBygones()
	defer b.close()
	id := dialogID{"call", "ours", "theirs"}
	for name, r := range map[string]*remains{
		"nothing":    {callID: "c-1"},
		"a BYE":      {given: given{last: 7, answer: answer{"BYE", 200, "OK"}}, callID: "c-1"},
		"a hang-up":  {callID: "c-1", hanging: true},
		"all of it":  {given{math.MaxUint32, answer{"NOTIFY", 481, "Gone, long ago"}, nil}, "c-1", true, []uint32{1, 300, math.MaxUint32}},
		"one REFER":  {callID: "c-1", refers: []uint32{0}},
		"no call id": {},
	} {
		t.Run(name, func(t *testing.T) {
			b.keep(id, r, nil)
			assert.Equal(t, r, b.dialog(id))
		})
	}
}

func TestDialogsThatHaveEndedAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBygones()
		defer b.close()
		invite := &invite{id: inviteID{"call", "theirs", 1}, via: "z9hG4bK1"}
		b.keep(dialogID{"call", "ours", "theirs"}, &remains{callID: "c-1"}, invite)
		b.keep(dialogID{"call", "our", "stheirs"}, &remains{callID: "c-2"}, nil)
		time.Sleep(linger() - time.Nanosecond)
		assert.Equal(t, "c-1", b.dialog(dialogID{"call", "ours", "theirs"}).callID)
		assert.Equal(t, "c-2", b.dialog(dialogID{"call", "our", "stheirs"}).callID)
		assert.Nil(t, b.dialog(dialogID{"callours", "", "theirs"}))
		assert.Equal(t, "z9hG4bK1", b.invite(inviteID{"call", "theirs", 1}).via)
		assert.Nil(t, b.invite(inviteID{"call", "theirs", 2}))
		b.invite(inviteID{"call", "theirs", 1}).cancel() // nobody waits for it
		time.Sleep(time.Nanosecond)
		assert.Nil(t, b.dialog(dialogID{"call", "ours", "theirs"}))
		assert.Nil(t, b.invite(inviteID{"call", "theirs", 1}))
	})
}
