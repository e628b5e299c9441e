package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// kinds are the types of entries of which the payload alone is written; a type's number is its place here, from 1.
var kinds = [...]Type{
	TypeSIP, TypeWebhook, TypeDocument, TypeVerb, TypeTimer, TypeCall, TypeMedia, TypeDigit, TypeDialog, TypeRecording,
}

// addBrief adds an entry, which it changes, in the form in which a store in memory keeps it, with half of the work that [codec.add]
// takes: a byte for its type, its time in nanoseconds of Unix time, and its payload in CBOR. Where the time is one of another
// place, or the payload is not what the type says, it is 0 instead, and then the entry is there as a whole.
func (c codec) addBrief(to *bytes.Buffer, e *Entry) error {
	from := to.Len()
	kind, payload := kindOf(e)
	nanos := uint64(max(0, e.Time.UnixNano()))
	if nanos == 0 || !time.Unix(0, int64(nanos)).Equal(e.Time) || e.Time.Location() != time.Local {
		kind = 0
	}
	to.WriteByte(kind)
	if kind == 0 {
		if err := c.add(to, e); err != nil {
			to.Truncate(from)
			return err
		}
		return nil
	}
	to.Write(binary.AppendUvarint(to.AvailableBuffer(), nanos))
	if err := c.encode.MarshalToBuffer(payload, to); err != nil {
		to.Truncate(from)
		return fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	return nil
}

// unpackBrief returns the entries from the first on of a call that were added so.
func (c codec) unpackBrief(callID string, text []byte) (journal []Entry, err error) {
	for len(text) > 0 {
		var e Entry
		var into any = &e
		kind := text[0]
		text = text[1:]
		if kind > 0 {
			nanos, n := binary.Uvarint(text)
			if n <= 0 || int(kind) > len(kinds) {
				return journal, errPack
			}
			text = text[n:]
			e.Type, e.Time = kinds[kind-1], time.Unix(0, int64(nanos))
			into = blank(&e)
		}
		if text, err = c.decode.UnmarshalFirst(text, into); err != nil {
			return journal, fmt.Errorf("%w: %w", errPack, err)
		}
		e.CallID, e.Seq = callID, uint64(len(journal))+1
		journal = append(journal, e)
	}
	return journal, nil
}

// kindOf returns the number of an entry's type, and its payload; 0: it has another one, or several.
func kindOf(e *Entry) (kind byte, payload any) {
	set := [len(kinds)]bool{
		e.SIP != nil, e.Webhook != nil, e.Document != nil, e.Verb != nil, e.Timer != nil,
		e.Call != nil, e.Media != nil, e.Digit != nil, e.Dialog != nil, e.Recording != nil,
	}
	i := slices.Index(set[:], true)
	if i < 0 || kinds[i] != e.Type || slices.Contains(set[i+1:], true) {
		return 0, nil
	}
	return byte(i + 1), payloadOf(e)
}

// payloadOf is the payload that the entry's type names.
func payloadOf(e *Entry) any {
	switch e.Type {
	case TypeSIP:
		return e.SIP
	case TypeWebhook:
		return e.Webhook
	case TypeDocument:
		return e.Document
	case TypeVerb:
		return e.Verb
	case TypeTimer:
		return e.Timer
	case TypeCall:
		return e.Call
	case TypeMedia:
		return e.Media
	case TypeDigit:
		return e.Digit
	case TypeDialog:
		return e.Dialog
	case TypeRecording:
		return e.Recording
	}
	return nil
}

// blank gives an entry an empty payload of its type.
func blank(e *Entry) (payload any) {
	switch e.Type {
	case TypeSIP:
		e.SIP = &SIP{}
	case TypeWebhook:
		e.Webhook = &Webhook{}
	case TypeDocument:
		e.Document = &Document{}
	case TypeVerb:
		e.Verb = &Verb{}
	case TypeTimer:
		e.Timer = &Timer{}
	case TypeCall:
		e.Call = &Call{}
	case TypeMedia:
		e.Media = &Media{}
	case TypeDigit:
		e.Digit = &Digit{}
	case TypeDialog:
		e.Dialog = &Dialog{}
	case TypeRecording:
		e.Recording = &Recording{}
	}
	return payloadOf(e)
}
