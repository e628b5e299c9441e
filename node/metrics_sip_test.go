package node

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counted returns what a node has counted of SIP messages, by direction, method and code.
func counted(t *testing.T, m *metrics) map[[3]string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	require.NoError(t, err)
	counts := map[[3]string]float64{}
	for _, f := range families {
		if f.GetName() != "callengine_sip_messages_total" {
			continue
		}
		for _, c := range f.GetMetric() {
			label := map[string]string{}
			for _, l := range c.GetLabel() {
				label[l.GetName()] = l.GetValue()
			}
			counts[[3]string{label["direction"], label["method"], label["code"]}] = c.GetCounter().GetValue()
		}
	}
	return counts
}

func TestSIPMessagesAreCountedByWhatTheyAre(t *testing.T) {
	for name, tc := range map[string]struct {
		method       string
		code         int
		wantMethod   string
		wantCode     string
		countsWithIt int // another code that is counted there, too; 0: none
	}{
		"a request":                          {method: "INVITE", wantMethod: "INVITE", wantCode: "request"},
		"a response":                         {method: "REFER", code: 202, wantMethod: "REFER", wantCode: "202"},
		"a method that there is not":         {method: "HELLO", wantMethod: "other", wantCode: "request"},
		"a response to such a one":           {method: "HELLO", code: 405, wantMethod: "other", wantCode: "405"},
		"a code below all that there are":    {method: "BYE", code: 99, wantMethod: "BYE", wantCode: "other", countsWithIt: -5},
		"a code above all that there are":    {method: "BYE", code: 700, wantMethod: "BYE", wantCode: "other", countsWithIt: 99},
		"no method, as of what has no CSeq":  {code: 200, wantMethod: "other", wantCode: "200"},
		"the highest code that there may be": {method: "BYE", code: 699, wantMethod: "BYE", wantCode: "699"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMetrics(BuildInfo{})
			want := 2.0
			m.sipMessage("in", tc.method, tc.code)
			m.sipMessage("in", tc.method, tc.code)
			m.sipMessage("out", tc.method, tc.code)
			if tc.countsWithIt != 0 {
				m.sipMessage("in", tc.method, tc.countsWithIt)
				want++
			}
			assert.Equal(t, map[[3]string]float64{
				{"in", tc.wantMethod, tc.wantCode}: want, {"out", tc.wantMethod, tc.wantCode}: 1,
			}, counted(t, m))
		})
	}
}
