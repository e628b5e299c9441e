package hep_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// The reader of these tests shares nothing with the package: it knows the protocol from its description.

// chunks takes one whole packet apart: values by type.
func chunks(t *testing.T, b []byte) map[uint16][]byte {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(b))
	all, err := readPacket(r)
	require.NoError(t, err)
	require.Zero(t, r.Buffered(), "nothing comes after it")
	return all
}

// readPacket reads a packet from a stream.
func readPacket(r io.Reader) (map[uint16][]byte, error) {
	var head struct {
		Magic  [4]byte
		Length uint16
	}
	if err := binary.Read(r, binary.BigEndian, &head); err != nil {
		return nil, err
	}
	if string(head.Magic[:]) != "HEP3" || head.Length < 6 {
		return nil, io.ErrUnexpectedEOF
	}
	body := make([]byte, head.Length-6)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	all := map[uint16][]byte{}
	for len(body) > 0 {
		if len(body) < 6 || binary.BigEndian.Uint16(body) != 0 {
			return nil, io.ErrUnexpectedEOF
		}
		kind, length := binary.BigEndian.Uint16(body[2:]), int(binary.BigEndian.Uint16(body[4:]))
		if _, twice := all[kind]; twice || length < 6 || length > len(body) {
			return nil, io.ErrUnexpectedEOF
		}
		all[kind], body = body[6:length], body[length:]
	}
	return all, nil
}
