package state

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// DefaultLimit is the size of a page where a [Query] names none.
const DefaultLimit = 1000

// ErrPageToken is returned for a [Query] whose After is no token of the store's own.
var ErrPageToken = errors.New("not a page token of this store")

// pageVersion starts every token, so that another form can be told from this one.
const pageVersion = 1

// pageToken names the place behind the call with this number.
func pageToken(number uint64) string {
	return base64.RawURLEncoding.EncodeToString(binary.AppendUvarint([]byte{pageVersion}, number))
}

// readPageToken returns the number of the last call of the page before; 0 without a token.
func readPageToken(token string) (number uint64, err error) {
	if token == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 2 || b[0] != pageVersion {
		return 0, ErrPageToken
	}
	number, n := binary.Uvarint(b[1:])
	if n != len(b)-1 || number == 0 || pageToken(number) != token {
		return 0, ErrPageToken
	}
	return number, nil
}
