package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// packVersion starts every message of the journal's stream, so that another form can be told from this one.
const packVersion = 1

// maxPack is from how many bytes on entries go into another message.
const maxPack = 128 << 10

// errPack is returned for a message of the journal's stream that cannot be read.
var errPack = errors.New("not a message of this version's journal")

// codec packs entries for the disk: the version, the number of the first of them, and the entries in CBOR (RFC 8949), one
// after the other. What a message's subject tells, the call, is left out, and so are the numbers, which have no gaps.
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
	decode, err := cbor.DecOptions{}.DecMode()
	return codec{encode, decode}, err
}

// pack writes as many of the entries as make up a message, at least one, and returns how many those were.
func (c codec) pack(to *bytes.Buffer, entries []Entry) (n int, err error) {
	to.Reset()
	to.WriteByte(packVersion)
	to.Write(binary.AppendUvarint(to.AvailableBuffer(), entries[0].Seq))
	for i := range entries {
		if n > 0 && to.Len() >= maxPack {
			break
		}
		e := entries[i]
		e.CallID, e.Seq = "", 0
		if err := c.encode.MarshalToBuffer(&e, to); err != nil {
			return 0, fmt.Errorf("entry %d of call %s: %w", entries[i].Seq, entries[i].CallID, err)
		}
		n++
	}
	return n, nil
}

// unpack reads the entries of a message.
func (c codec) unpack(callID string, data []byte) (entries []Entry, err error) {
	if len(data) == 0 || data[0] != packVersion {
		return nil, errPack
	}
	seq, n := binary.Uvarint(data[1:])
	if n <= 0 || seq == 0 {
		return nil, errPack
	}
	for rest := data[1+n:]; len(rest) > 0; seq++ {
		var e Entry
		if rest, err = c.decode.UnmarshalFirst(rest, &e); err != nil {
			return entries, fmt.Errorf("%w: %w", errPack, err)
		}
		e.CallID, e.Seq = callID, seq
		entries = append(entries, e)
	}
	return entries, nil
}

// merge makes one journal of the entries of its messages. An entry may have been written twice, and then the first stands;
// after a gap nothing counts, because what comes first was not safe before what follows it.
func merge(journal, entries []Entry) []Entry {
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
	First  uint64    `json:"first"` // the journal's first message in its stream
	Since  int64     `json:"since"` // when that was written, in seconds
	Last   int       `json:"last"`  // number of the last entry
	Quiet  int64     `json:"quiet"` // when the last entry was appended, in nanoseconds
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
}

// file packs a call's value.
func (c codec) file(to *bytes.Buffer, f *filed) error {
	to.Reset()
	to.WriteByte(packVersion)
	return c.encode.MarshalToBuffer(f, to)
}

func (c codec) unfile(data []byte) (f filed, err error) {
	if len(data) == 0 || data[0] != packVersion {
		return f, errPack
	}
	if err := c.decode.Unmarshal(data[1:], &f); err != nil {
		return f, fmt.Errorf("%w: %w", errPack, err)
	}
	return f, nil
}
