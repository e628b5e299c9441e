package sipstack

import "encoding/binary"

// bygones remembers the dialogs that have ended, and their INVITEs, for 64*T1. Its methods may be called by several
// goroutines at once.
type bygones struct{ ages *ages }

// maxBygones bounds what is remembered: some 5,000 calls a second.
const maxBygones = 64 << 20

func newBygones() *bygones { return &bygones{newAges(maxBygones)} }

// What a key begins with.
const (
	dialogKey byte = iota
	inviteKey
)

// keep remembers what remains of a dialog, and its INVITE; nil: the call is ours.
func (b *bygones) keep(id dialogID, r *remains, i *invite) {
	var room [keyRoom]byte
	b.ages.keep(id.appendKey(room[:0]), r.append(nil))
	if i != nil {
		b.ages.keep(i.id.appendKey(room[:0]), []byte(i.via))
	}
}

// dialog returns what remains of a dialog; nil: none is known.
func (b *bygones) dialog(id dialogID) *remains {
	var room [keyRoom]byte
	value, ok := b.ages.find(id.appendKey(room[:0]))
	if !ok {
		return nil
	}
	return readRemains(value)
}

// invite returns the INVITE of a name; nil: none is known.
func (b *bygones) invite(id inviteID) *invite {
	var room [keyRoom]byte
	via, ok := b.ages.find(id.appendKey(room[:0]))
	if !ok {
		return nil
	}
	return &invite{id: id, via: string(via), canceled: make(chan struct{})}
}

// close forgets everything, for good.
func (b *bygones) close() { b.ages.close() }

func (id dialogID) appendKey(b []byte) []byte {
	b = append(b, dialogKey)
	return appendTexts(b, id.callID, id.local, id.remote)
}

func (id inviteID) appendKey(b []byte) []byte {
	b = append(b, inviteKey)
	b = binary.AppendUvarint(b, uint64(id.cseq))
	return appendTexts(b, id.callID, id.tag)
}

// append writes what remains of a dialog. Of one that another process had there is more, which stays as it is.
func (r *remains) append(b []byte) []byte {
	hanging := byte(0)
	if r.hanging {
		hanging = 1
	}
	b = append(b, hanging)
	b = binary.AppendUvarint(b, uint64(r.last))
	b = binary.AppendUvarint(b, uint64(r.answer.code))
	b = appendTexts(b, r.callID, r.answer.method, r.answer.reason)
	for _, cseq := range r.refers {
		b = binary.AppendUvarint(b, uint64(cseq))
	}
	return b
}

// readRemains reads what append has written.
func readRemains(b []byte) *remains {
	r := &remains{hanging: b[0] == 1}
	b = b[1:]
	number := func() uint64 {
		n, length := binary.Uvarint(b)
		b = b[length:]
		return n
	}
	text := func() string {
		n := number()
		s := string(b[:n])
		b = b[n:]
		return s
	}
	r.last, r.answer.code = uint32(number()), int(number())
	r.callID, r.answer.method, r.answer.reason = text(), text(), text()
	for len(b) > 0 {
		r.refers = append(r.refers, uint32(number()))
	}
	return r
}

// appendTexts writes texts so that no two lists of them are the same.
func appendTexts(b []byte, texts ...string) []byte {
	for _, s := range texts {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}
