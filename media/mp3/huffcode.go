package mp3

import (
	"encoding/hex"
	"math/bits"
)

// huffCode is the code of a value.
type huffCode struct {
	code   uint32
	length uint8 // 0: there is none
}

// pairCodes is a table of big values for encoding.
type pairCodes struct {
	codes   *[256]huffCode // by x<<4 | y; nil: there is no such table
	linbits int
}

var (
	writePairs = writePairTables()
	writeQuads = [2]*[256]huffCode{codesOf(quadsA), codesOf(quadsB)}
)

// codesOf lists the codes of a table, as plant does.
func codesOf(c codes) *[256]huffCode {
	b, err := hex.DecodeString(string(c))
	if err != nil {
		panic(err) // the tables are constants
	}
	var t [256]huffCode
	code, length := uint32(0), int(b[1])
	for i := 0; i < len(b); i += 2 {
		if i > 0 {
			code++
			for ; length < int(b[i+1]); length++ {
				code <<= 1
			}
			for ; length > int(b[i+1]); length-- {
				code >>= 1
			}
		}
		t[b[i]] = huffCode{code, uint8(length)}
	}
	return &t
}

func writePairTables() (t [32]pairCodes) {
	for i, c := range map[int]codes{
		1: codes1, 2: codes2, 3: codes3, 5: codes5, 6: codes6, 7: codes7, 8: codes8, 9: codes9, 10: codes10, 11: codes11,
		12: codes12, 13: codes13, 15: codes15,
	} {
		t[i].codes = codesOf(c)
	}
	low, high := codesOf(codes16), codesOf(codes24)
	for i := range 8 {
		t[16+i] = pairCodes{low, pairs[16+i].linbits}
		t[24+i] = pairCodes{high, pairs[24+i].linbits}
	}
	return t
}

// greatestValue is the greatest value that any table has a code for.
const greatestValue = 15 + 1<<13 - 1

// classes are the tables by the greatest value that they have codes for, without linbits. Those of a higher class cost more.
var classes = [16][]int{
	1: {1}, 2: {2, 3}, 3: {5, 6}, 4: {7, 8, 9}, 5: {7, 8, 9}, 6: {10, 11, 12}, 7: {10, 11, 12}, 8: {13, 15}, 9: {13, 15},
	10: {13, 15}, 11: {13, 15}, 12: {13, 15}, 13: {13, 15}, 14: {13, 15}, 15: {13, 15},
}

// candidates are the tables that may take values up to this one in the fewest bits.
func candidates(greatest int32) []int {
	if greatest <= 15 {
		return classes[greatest]
	}
	return withLinbits[bits.Len32(uint32(greatest-15))]
}

// withLinbits are the tables for values that need so many bits beyond 15: of each kind the one with the fewest.
var withLinbits = func() (t [14][]int) {
	for n := range t {
		for _, from := range [2]int{16, 24} {
			for i := from; i < from+8; i++ {
				if pairs[i].linbits >= n {
					t[n] = append(t[n], i)
					break
				}
			}
		}
	}
	return t
}()

// cost is how many bits two values take, without their signs.
func (t *pairCodes) cost(x, y int32) int {
	n := int(t.codes[min(x, 15)<<4|min(y, 15)].length)
	if t.linbits > 0 {
		if x >= 15 {
			n += t.linbits
		}
		if y >= 15 {
			n += t.linbits
		}
	}
	return n
}

// put writes two values with their signs.
func (t *pairCodes) put(w *bitWriter, x, y int32) {
	ax, ay := abs(x), abs(y)
	c := t.codes[min(ax, 15)<<4|min(ay, 15)]
	w.bits(c.code, int(c.length))
	for _, v := range [2]int32{x, y} {
		if t.linbits > 0 && abs(v) >= 15 {
			w.bits(uint32(abs(v)-15), t.linbits)
		}
		putSign(w, v)
	}
}

func putSign(w *bitWriter, v int32) {
	switch {
	case v > 0:
		w.bits(0, 1)
	case v < 0:
		w.bits(1, 1)
	}
}

func abs(v int32) int32 { return max(v, -v) }
