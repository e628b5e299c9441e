package verbs

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/google/uuid"
)

// newID makes an id of the shape that the API promises: a prefix, "s-", and groups of hexadecimal digits.
func newID(prefix string) string {
	var head [4]byte
	_, _ = rand.Read(head[:]) // never fails
	return prefix + hex.EncodeToString(head[:]) + "-" + uuid.NewString()
}
