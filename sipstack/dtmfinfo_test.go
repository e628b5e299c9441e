package sipstack

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDigitsInINFO(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		contentType, body string
		key               byte // 0: none
		length            time.Duration
	}{
		"dtmf-relay":            {"application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", '5', 160 * time.Millisecond},
		"with blanks":           {"application/dtmf-relay", "Signal= 5 \nDuration= 250", '5', 250 * time.Millisecond},
		"in capitals":           {"Application/DTMF-Relay;x=y", "SIGNAL=d\r\nDURATION=100", 'D', 100 * time.Millisecond},
		"no length":             {"application/dtmf-relay", "Signal=#", '#', 0},
		"a length of nonsense":  {"application/dtmf-relay", "Signal=*\r\nDuration=-1\r\n", '*', 0},
		"a code":                {"application/dtmf-relay", "Signal=10\r\n", '*', 0},
		"the last code":         {"application/dtmf-relay", "Signal=15\r\n", 'D', 0},
		"a code that is no key": {"application/dtmf-relay", "Signal=16\r\n", 0, 0},
		"no key":                {"application/dtmf-relay", "Signal=X\r\n", 0, 0},
		"nothing":               {"application/dtmf-relay", "Signal=\r\n", 0, 0},
		"no Signal":             {"application/dtmf-relay", "5", 0, 0},
		"dtmf":                  {"application/dtmf", "7", '7', 0},
		"dtmf, with a line end": {"application/dtmf", " #\r\n", '#', 0},
		"dtmf, as a relay":      {"application/dtmf", "Signal=7\r\nDuration=90\r\n", '7', 90 * time.Millisecond},
		"dtmf, empty":           {"application/dtmf", "", 0, 0},
		"of another kind":       {"application/media_control+xml", "5", 0, 0},
		"of no kind":            {"", "Signal=5", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, ok := infoDigit(tc.contentType, []byte(tc.body))
			assert.Equal(t, tc.key != 0, ok)
			if ok {
				assert.Equal(t, media.Digit{Key: tc.key, Way: media.ByINFO, Length: tc.length}, d)
			}
		})
	}
}

func TestDigitsByINFOAreTold(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		for _, key := range []string{"1", "1", "x", "2"} {
			c.inDialog("INFO", "Content-Type: application/dtmf-relay\r\n", "Signal="+key)
			require.Equal(t, "SIP/2.0 200 OK", startOf(p.next()), "whatever is in it")
		}
		synctest.Wait()
		n.rec.mu.Lock()
		defer n.rec.mu.Unlock()
		var keys []byte
		for _, d := range n.rec.digits {
			keys = append(keys, d.Key)
		}
		assert.Equal(t, "112", string(keys))
	})
}

// FuzzInfoDigit reads bodies of INFO: what is found is a key.
func FuzzInfoDigit(f *testing.F) {
	f.Add("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n")
	f.Add("application/dtmf", "10")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		if d, ok := infoDigit(contentType, []byte(body)); ok {
			require.Contains(t, media.Digits, string(d.Key))
			require.GreaterOrEqual(t, d.Length, time.Duration(0))
		}
	})
}
