package state

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// latin1 is a call of whose INVITE not all is text, as an old gateway sends it.
func latin1(id string) []Entry {
	return []Entry{
		{CallID: id, Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "INVITE", CSeq: 1, Raw: "INVITE sip:x SIP/2.0\r\nFrom: \"Caf\xe9\" <sip:a@b>\r\n\r\n"}},
		{CallID: id, Type: TypeCall, Call: &Call{Event: CallInitiated, From: "sip:caf\xe9@b", To: "sip:c@d"}},
		{CallID: id, Type: TypeCall, Call: &Call{Event: CallEnded, Cause: "hangup", Untold: true}},
	}
}

// requireLatin1 holds that such a call is read as it came.
func requireLatin1(t *testing.T, s Store, id string) {
	t.Helper()
	journal, err := s.Journal(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, journal, 3)
	assert.Equal(t, latin1(id)[0].SIP, journal[0].SIP)
	assert.Equal(t, latin1(id)[1].Call, journal[1].Call)
	record, err := s.Record(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, "sip:caf\xe9@b", record.From)
}

func TestWhatIsNoTextIsReadAsItCame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{})
		for _, e := range latin1("c-1") {
			appended(t, m, e)
		}
		time.Sleep(2 * packQuiet)
		appended(t, m, message("other", 1))
		requireLatin1(t, m, "c-1")
	})
	d, _ := openDurable(t, DurableConfig{Dir: filepath.Join(t.TempDir(), "state")})
	for _, e := range latin1("c-1") {
		written(t, d, "c-1", e)
	}
	require.NoError(t, d.Close())
	for range 2 { // from the messages behind the checkpoint, and from values
		d, logs := openDurable(t, DurableConfig{Dir: d.cfg.Dir})
		requireLatin1(t, d, "c-1")
		assert.Empty(t, logs.FilterLevelExact(zap.ErrorLevel).All())
		require.NoError(t, d.Close())
	}
}
