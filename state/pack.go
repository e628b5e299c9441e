package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// Forms of the messages of the journals' stream, and of the values of calls. The first byte of each tells which it is of.
const (
	packOfOne   = 1 // a message holds entries of the one call that its subject names; what versions before wrote
	packVersion = 2 // a message holds entries of any calls
)

// maxPack is from about how many bytes on entries go into another message.
const maxPack = 128 << 10

// errPack is returned for a message of the journal's stream that cannot be read.
var errPack = errors.New("not a message of this version's journal")

// codec packs entries for the disk: the version, and then for each call that there is something of its id, the number of
// the first entry, the length of what follows, and the entries in CBOR (RFC 8949), one after the other. Numbers of entries
// have no gaps and are left out.
//
// CBOR because what is written on each step of each call has to cost little: a tenth of JSON. Unknown properties are no
// error, so that a version can read what the one after it has added.
type codec struct {
	encode cbor.UserBufferEncMode
	decode cbor.DecMode
}

func newCodec() (codec, error) {
	encode, err := cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.UserBufferEncMode()
	if err != nil {
		return codec{}, err
	}
	// What others send is kept as it came: a SIP message may hold bytes that are no text (RFC 3261 section 7.4).
	decode, err := cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode()
	return codec{encode, decode}, err
}

// begin begins a message.
func (c codec) begin(to *bytes.Buffer) {
	to.Reset()
	to.WriteByte(packVersion)
}

// lengthLen is how many bytes tell how long a call's entries are.
const lengthLen = 4

// head adds to a message what stands before the entries of a call, which take so many bytes.
func (c codec) head(to *bytes.Buffer, callID string, first uint64, length int) {
	to.Write(binary.AppendUvarint(to.AvailableBuffer(), uint64(len(callID))))
	to.WriteString(callID)
	to.Write(binary.AppendUvarint(to.AvailableBuffer(), first))
	to.Write(binary.BigEndian.AppendUint32(to.AvailableBuffer(), uint32(length)))
}

// add adds an entry, which nobody else may look at meanwhile. If it cannot be packed nothing is added.
func (c codec) add(to *bytes.Buffer, e *Entry) error {
	callID, seq, from := e.CallID, e.Seq, to.Len()
	e.CallID, e.Seq = "", 0 // not by a copy: it would be one more piece of garbage for each entry
	err := c.encode.MarshalToBuffer(e, to)
	e.CallID, e.Seq = callID, seq
	if err != nil {
		to.Truncate(from)
		return fmt.Errorf("entry %d: %w", seq, err)
	}
	return nil
}

// part is what a message holds of one call.
type part struct {
	message uint64 // sequence number
	first   uint64 // number of the first entry
	entries []byte
}

// parts reads what a message of the journals' stream holds. subject is the last part of its subject. What can be read of a
// message that is broken counts.
func (c codec) parts(subject string, m streamed, read func(call []byte, p part)) error {
	if len(m.data) == 0 {
		return errPack
	}
	rest := m.data[1:]
	switch m.data[0] {
	case packOfOne:
		first, n := binary.Uvarint(rest)
		if n <= 0 || first == 0 {
			return errPack
		}
		read([]byte(subject), part{m.seq, first, rest[n:]})
		return nil
	case packVersion:
	default:
		return errPack
	}
	for len(rest) > 0 {
		long, n := binary.Uvarint(rest)
		if n <= 0 || long > uint64(len(rest)-n) {
			return errPack
		}
		call := rest[n : n+int(long)]
		rest = rest[n+int(long):]
		first, n := binary.Uvarint(rest)
		if n <= 0 || first == 0 || len(rest) < n+lengthLen {
			return errPack
		}
		long = uint64(binary.BigEndian.Uint32(rest[n:]))
		if rest = rest[n+lengthLen:]; long > uint64(len(rest)) {
			return errPack
		}
		read(call, part{m.seq, first, rest[:long]})
		rest = rest[long:]
	}
	return nil
}

// unpack adds the entries of a part to a journal. An entry may have been written twice, and then the first stands; after a
// gap nothing counts, because what comes first was not safe before what follows it.
func (c codec) unpack(callID string, p part, journal []Entry) ([]Entry, error) {
	seq := p.first
	for rest := p.entries; len(rest) > 0; seq++ {
		next := uint64(len(journal)) + 1
		if seq > next {
			return journal, nil
		}
		if seq < next {
			_, left, err := c.skip(rest)
			if err != nil {
				return journal, err
			}
			rest = left
			continue
		}
		var e Entry
		left, err := c.decode.UnmarshalFirst(rest, &e)
		if err != nil {
			return journal, fmt.Errorf("%w: %w", errPack, err)
		}
		rest = left
		e.CallID, e.Seq = callID, seq
		journal = append(journal, e)
	}
	return journal, nil
}

// skip returns what follows the first entry.
func (c codec) skip(entries []byte) (entry cbor.RawMessage, rest []byte, err error) {
	if rest, err = c.decode.UnmarshalFirst(entries, &entry); err != nil {
		err = fmt.Errorf("%w: %w", errPack, err)
	}
	return entry, rest, err
}

// merge adds entries of a call to its journal, by the same rule.
func merge(journal, entries []Entry) []Entry {
	journal = slices.Grow(journal, len(entries))
	for _, e := range entries {
		if e.Seq == uint64(len(journal))+1 {
			journal = append(journal, e)
		}
	}
	return journal
}

// filed is a call as its value among the records holds it: what of its journal is looked for without reading it.
type filed struct {
	Number uint64    `json:"number"`
	First  uint64    `json:"first"`           // the journal's first message in its stream
	Trail  trail     `json:"trail,omitempty"` // all its messages
	Own    bool      `json:"own,omitempty"`   // some of them, which Trail does not tell, have the call in their subject
	Since  int64     `json:"since"`           // when the first was written, in seconds
	Last   int       `json:"last"`            // number of the last entry
	Quiet  int64     `json:"quiet"`           // when the last entry was appended, in nanoseconds
	Record Record    `json:"record"`
	Rest   filedRest `json:"rest"`
	Owed   []debt    `json:"owed,omitempty"`
	Dead   []letter  `json:"dead,omitempty"`
}

type filedRest struct {
	Begun   bool `json:"begun,omitempty"`
	Ended   bool `json:"ended,omitempty"`
	Told    bool `json:"told,omitempty"`
	Outlive bool `json:"outlive,omitempty"`
	Settled bool `json:"settled,omitempty"`
	Invited bool `json:"invited,omitempty"`
	Refused bool `json:"refused,omitempty"`

	Declined bool   `json:"declined,omitempty"`
	Gone     bool   `json:"gone,omitempty"`
	CSeq     uint32 `json:"cseq,omitempty"`
	Over     int64  `json:"over,omitempty"` // in nanoseconds of Unix time
	Asked    uint32 `json:"asked,omitempty"`
	AskedAt  int64  `json:"askedAt,omitempty"` // likewise
}

// file packs a call's value.
func (c codec) file(to *bytes.Buffer, f *filed) error {
	c.begin(to)
	return c.encode.MarshalToBuffer(f, to)
}

func (c codec) unfile(data []byte) (f filed, err error) {
	if len(data) == 0 || data[0] != packVersion && data[0] != packOfOne {
		return f, errPack
	}
	if err := c.decode.Unmarshal(data[1:], &f); err != nil {
		return f, fmt.Errorf("%w: %w", errPack, err)
	}
	f.Own = f.Own || data[0] == packOfOne
	return f, nil
}
