package webhook

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPropertiesAsQueryParameters(t *testing.T) {
	for name, tc := range map[string]struct {
		query, body, want string
	}{
		"in order":             {"", `{"b":"1","a":"2"}`, "b=1&a=2"},
		"query is kept":        {"x=%20&y", `{"a":"2"}`, "x=%20&y&a=2"},
		"query has it already": {"a=1", `{"a":"2"}`, "a=1&a=2"},
		"escaped":              {"", `{"from":"sip:a@b.example;x=1&y","to":"+1 é"}`, "from=sip%3Aa%40b.example%3Bx%3D1%26y&to=%2B1+%C3%A9"},
		"numbers as written":   {"", `{"i":202,"f":0.10,"big":12345678901234567890}`, "i=202&f=0.10&big=12345678901234567890"},
		"booleans":             {"", `{"t":true,"f":false}`, "t=true&f=false"},
		"nested object":        {"", `{"r":{"value":"human","in":{"x":1}}}`, "r.value=human&r.in.x=1"},
		"array":                {"", `{"tracks":["inbound","outbound"]}`, "tracks=inbound&tracks=outbound"},
		"array of objects":     {"", `{"c":[{"a":1},{"a":2}]}`, "c.a=1&c.a=2"},
		"no value":             {"", `{"a":null,"b":{},"c":[],"d":"x"}`, "d=x"},
		"empty string":         {"", `{"a":""}`, "a="},
		"nothing":              {"", `{}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := withProperties(tc.query, []byte(tc.body))
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestBrokenPropertiesAreAnError(t *testing.T) {
	for _, body := range []string{``, `{`, `{"a"`, `{"a":[1`, `{"a":1]`} {
		_, err := withProperties("", []byte(body))
		assert.Error(t, err, body)
	}
}

// FuzzProperties parses parameters back: every value of an event arrives as it was, under its dotted name.
func FuzzProperties(f *testing.F) {
	f.Add("a=b", "tag", "x-session", "value", 202)
	f.Add("", "a&b=c#d?e%zz\x00\xff", "x-a.b", "é\n", 0)
	f.Fuzz(func(t *testing.T, query, tag, header, value string, code int) {
		if _, err := url.ParseQuery(query); err != nil || strings.ContainsAny(query, "#") {
			return // not the query of a URL
		}
		call := answered
		call.Tag = tag
		initiate := NewInitiate(call, Invite{UUI: tag, SIPHeaders: map[string]string{header: value}})
		refer := NewReferComplete(call, Refer{ReferCode: code})
		for _, ev := range []Event{initiate, refer} {
			got, err := withProperties(query, ev.Body)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(got, query))
			parsed, err := url.ParseQuery(got)
			require.NoError(t, err)
			kept, err := url.ParseQuery(query)
			require.NoError(t, err)

			var body map[string]any
			d := json.NewDecoder(bytes.NewReader(ev.Body))
			d.UseNumber()
			require.NoError(t, d.Decode(&body))
			want := map[string][]string{}
			for name, values := range kept {
				want[name] = append(want[name], values...)
			}
			collect(want, "", body)
			for name, values := range want {
				assert.Equal(t, slices.Sorted(slices.Values(values)), slices.Sorted(slices.Values(parsed[name])), name)
			}
			assert.Len(t, parsed, len(want))
		}
	})
}

// collect is an independent, simple form of the rule.
func collect(into map[string][]string, name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if name != "" {
				key = name + "." + key
			}
			collect(into, key, inner)
		}
	case string:
		into[name] = append(into[name], v)
	case json.Number:
		into[name] = append(into[name], v.String())
	}
}

// FuzzFlatten takes any bytes: an error or a query that can be read, and no panic.
func FuzzFlatten(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,"x",null,true,{"c":2}]}}`))
	f.Add([]byte(`[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := withProperties("", body)
		if err != nil {
			return
		}
		_, err = url.ParseQuery(got)
		require.NoError(t, err)
	})
}
