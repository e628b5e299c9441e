package state

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fillUp sets all that a value points at or consists of.
func fillUp(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillUp(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 3, 2, 15, 5, 4, 123456789, time.FixedZone("", 3600))))
			return
		}
		for i := range v.NumField() {
			fillUp(v.Field(i))
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`{"a":[1]}`))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillUp(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("a\xe9"), reflect.ValueOf("b"))
	case reflect.String:
		v.SetString("é\xe9\x00")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(200)
	default:
		v.SetInt(-1 << 30)
	}
}

// payloads are entries with each payload that there is, whole and empty.
func payloads() (entries []Entry) {
	of := reflect.TypeFor[Entry]()
	for i := range of.NumField() {
		if of.Field(i).Type.Kind() != reflect.Pointer {
			continue
		}
		var whole, empty Entry
		kind := byte(len(entries)/2 + 1)
		whole.Type, empty.Type = kinds[kind-1], kinds[kind-1]
		fillUp(reflect.ValueOf(&whole).Elem().Field(i))
		reflect.ValueOf(&empty).Elem().Field(i).Set(reflect.New(of.Field(i).Type.Elem()))
		entries = append(entries, whole, empty)
	}
	return entries
}

func TestEveryEntryIsKeptInMemoryAsItWas(t *testing.T) {
	t.Parallel()
	codec, err := newCodec()
	require.NoError(t, err)
	entries := payloads()
	require.Len(t, entries, 2*len(kinds), "each has its number")
	entries = append(entries,
		Entry{Type: "later", SIP: &SIP{Raw: "x"}},
		Entry{Type: TypeSIP},
		Entry{Type: TypeSIP, Call: &Call{Event: CallEnded}},
		Entry{Type: TypeSIP, SIP: &SIP{Raw: "x"}, Call: &Call{Event: CallEnded}},
		Entry{},
	)
	for name, at := range map[string]struct {
		time  time.Time
		brief bool
	}{
		"of this place":    {time.Date(2026, 3, 2, 15, 5, 4, 123456789, time.Local), true},
		"of another place": {time.Date(2026, 3, 2, 15, 5, 4, 123456789, time.FixedZone("", 5400)), false},
		"UTC":              {time.Date(2026, 3, 2, 15, 5, 4, 0, time.UTC), false},
		"none":             {time.Time{}, false},
		"long ago":         {time.Date(1900, 1, 1, 0, 0, 0, 0, time.Local), false},
		"the first":        {time.Unix(0, 0), false},
		"the last":         {time.Unix(0, math.MaxInt64), true},
		"long hence":       {time.Date(2900, 1, 1, 0, 0, 0, 0, time.Local), false},
	} {
		var packed bytes.Buffer
		var want []Entry
		for i, e := range entries {
			e.Time, e.CallID, e.Seq = at.time, "c-1", uint64(i+1)
			want = append(want, e)
			from := packed.Len()
			require.NoError(t, codec.addBrief(&packed, &e))
			assert.Equal(t, at.brief && i < 2*len(kinds), packed.Bytes()[from] > 0, "%s, %d", name, i)
		}
		got, err := codec.unpackBrief("c-1", packed.Bytes())
		require.NoError(t, err, name)
		require.Equal(t, asJSON(t, want), asJSON(t, got), name)
		for i := range want {
			require.True(t, want[i].Time.Equal(got[i].Time), name)
			a, _ := kindOf(&want[i])
			b, _ := kindOf(&got[i])
			require.Equal(t, a, b)
		}
	}
}

// FuzzUnpackBrief holds that bytes that are no entries are an error, and no panic.
func FuzzUnpackBrief(f *testing.F) {
	codec, err := newCodec()
	require.NoError(f, err)
	for _, e := range payloads() {
		var packed bytes.Buffer
		e.Time = began.Local()
		require.NoError(f, codec.addBrief(&packed, &e))
		f.Add(packed.Bytes())
		f.Add(packed.Bytes()[:packed.Len()/2])
	}
	f.Add([]byte{})
	f.Add([]byte{byte(len(kinds) + 1), 1, 0xa0})
	f.Fuzz(func(t *testing.T, text []byte) {
		if journal, err := codec.unpackBrief("c-1", text); err != nil {
			require.ErrorIs(t, err, errPack)
		} else {
			require.LessOrEqual(t, len(journal), len(text))
		}
	})
}
