package sipstack

import (
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
)

func TestRAck(t *testing.T) { // RFC 3262 section 7.2
	for value, want := range map[string]rack{
		"776656 1 INVITE":               {776656, 1, "INVITE"},
		"  1\t4294967295   INVITE ":     {1, 4294967295, "INVITE"},
		"776656 1 invite":               {776656, 1, "invite"}, // methods have one spelling
		"0 1 INVITE":                    {},
		"-1 1 INVITE":                   {},
		"+1 1 INVITE":                   {},
		"4294967296 1 INVITE":           {},
		"1 4294967296 INVITE":           {},
		"1 1":                           {},
		"1 1 INVITE x":                  {},
		"":                              {},
		"99999999999999999999 1 INVITE": {},
	} {
		t.Run(value, func(t *testing.T) {
			got, ok := parseRAck(value)
			assert.Equal(t, want != rack{}, ok)
			if ok {
				assert.Equal(t, want, got)
			}
		})
	}
}

func TestReliableResponsesAreAcknowledgedInOrder(t *testing.T) { // RFC 3262 section 4
	response := func(code int, rseq string, tags ...string) *sip.Response {
		res := sip.NewResponse(code, "")
		for _, tag := range tags {
			res.AppendHeader(sip.NewHeader("Require", tag))
		}
		if rseq != "" {
			res.AppendHeader(sip.NewHeader("RSeq", rseq))
		}
		return res
	}
	var a acknowledged
	for i, step := range []struct {
		res  *sip.Response
		want bool
	}{
		{response(100, "5", "100rel"), false}, // never reliable
		{response(180, ""), false},
		{response(180, "5"), false}, // not said to be
		{response(180, "x", "100rel"), false},
		{response(200, "5", "100rel"), false},
		{response(180, "5", "100rel"), true},
		{response(180, "5", "100rel"), false}, // repeated
		{response(183, "7", "100rel"), false}, // one is missing
		{response(183, "6", "other, 100rel"), true},
		{response(183, "7", "100rel"), true},
	} {
		assert.Equal(t, step.want, a.next(step.res), i)
	}
}

func TestSessionExpires(t *testing.T) { // RFC 4028 section 4
	for value, want := range map[string]sessionExpires{
		"1800":                               {30 * time.Minute, ""},
		"90 ; Refresher = UAC":               {90 * time.Second, "uac"},
		"4000;x=y;refresher=uas":             {4000 * time.Second, "uas"},
		"1800;refresher=proxy":               {30 * time.Minute, ""},
		`1800;refresher="uas"`:               {30 * time.Minute, "uas"},
		"4294967295":                         {4294967295 * time.Second, ""},
		"4294967296":                         {},
		"0":                                  {},
		"":                                   {},
		"soon":                               {},
		"-5":                                 {},
		"1.5":                                {},
		";refresher=uas":                     {},
		"18446744073709551616;refresher=uas": {},
	} {
		t.Run(value, func(t *testing.T) {
			got, ok := parseSessionExpires(value)
			assert.Equal(t, want.interval > 0, ok)
			if ok {
				assert.Equal(t, want, got)
			}
		})
	}
}

func TestMinSE(t *testing.T) {
	msg := func(name, value string) sip.Message {
		res := sip.NewResponse(500, "")
		res.AppendHeader(sip.NewHeader(name, value))
		return res
	}
	assert.Equal(t, 2*time.Minute, readMinSE(msg("Min-SE", "120;x=y")))
	for _, value := range []string{"60", "-1", "x", ""} {
		assert.Equal(t, 90*time.Second, readMinSE(msg("min-se", value)), "RFC 4028 section 5")
	}
}

func FuzzRAck(f *testing.F) {
	f.Add("776656 1 INVITE")
	f.Add(" 0 4294967296  x ")
	f.Fuzz(func(t *testing.T, value string) {
		k, ok := parseRAck(value)
		if !ok {
			return
		}
		again, ok := parseRAck(k.String())
		assert.True(t, ok)
		assert.Equal(t, k, again)
	})
}

func FuzzSessionExpires(f *testing.F) {
	f.Add("1800;refresher=uac")
	f.Add(`90;refresher="u\as";x`)
	f.Fuzz(func(t *testing.T, value string) {
		e, ok := parseSessionExpires(value)
		if !ok {
			return
		}
		again, ok := parseSessionExpires(e.header().Value())
		assert.True(t, ok)
		assert.Equal(t, e, again)
	})
}
