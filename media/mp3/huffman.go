package mp3

import "encoding/hex"

// tree is a Huffman table for decoding: nodes of two branches. A branch is the index of a node, or the complement of a
// value.
type tree [][2]int16

// pairTable is a table of big values.
type pairTable struct {
	tree    tree
	linbits int // bits that follow the value 15
}

var (
	pairs = pairTables()
	quads = [2]tree{plant(quadsA), plant(quadsB)}
)

// plant makes the tree of a table.
func plant(c codes) tree {
	b, err := hex.DecodeString(string(c))
	if err != nil {
		panic(err) // the tables are constants
	}
	t := tree{{}}
	code, length := 0, int(b[1])
	for i := 0; i < len(b); i += 2 {
		if i > 0 {
			// The next code of a complete prefix code in order: one more, with zeros appended or ones that are over cut off.
			code++
			for ; length < int(b[i+1]); length++ {
				code <<= 1
			}
			for ; length > int(b[i+1]); length-- {
				code >>= 1
			}
		}
		node := 0
		for bit := length - 1; bit > 0; bit-- {
			branch := &t[node][code>>bit&1]
			if *branch == 0 {
				*branch = int16(len(t))
				node = len(t)
				t = append(t, [2]int16{}) // branch is not used any more
				continue
			}
			node = int(*branch)
		}
		t[node][code&1] = ^int16(b[i])
	}
	return t
}

func pairTables() (t [32]pairTable) {
	for i, c := range map[int]codes{
		1: codes1, 2: codes2, 3: codes3, 5: codes5, 6: codes6, 7: codes7, 8: codes8, 9: codes9, 10: codes10, 11: codes11,
		12: codes12, 13: codes13, 15: codes15,
	} {
		t[i].tree = plant(c)
	}
	low, high := plant(codes16), plant(codes24)
	for i, bits := range [8]int{1, 2, 3, 4, 6, 8, 10, 13} {
		t[16+i] = pairTable{low, bits}
	}
	for i, bits := range [8]int{4, 5, 6, 7, 8, 9, 11, 13} {
		t[24+i] = pairTable{high, bits}
	}
	return t
}

// next reads one value.
func (t tree) next(r *bitReader) int {
	node := int16(0)
	for {
		node = t[node][r.bit()]
		if node < 0 {
			return int(^node)
		}
	}
}

// readLines reads the quantised spectrum of a granule, whose part of the main data ends at the bit `end`, and returns how
// many lines may differ from zero.
func (g *granule) readLines(r *bitReader, end int, is *[lines]int32) int {
	clear(is[:])
	n := 0
	for region := range 3 {
		stop := 2 * g.bigValues
		if region < 2 {
			stop = min(stop, g.regionEnd[region])
		}
		table := &pairs[g.tables[region]]
		if table.tree == nil { // table 0 is all zeros
			n = max(n, stop)
			continue
		}
		for ; n < stop && r.at < end; n += 2 {
			v := table.tree.next(r)
			is[n], is[n+1] = table.value(r, v>>4), table.value(r, v&15)
		}
	}
	table := quads[0]
	if g.quadsB {
		table = quads[1]
	}
	for n+4 <= lines && r.at < end {
		v := table.next(r)
		var quad [4]int32
		for i := range quad {
			if v>>(3-i)&1 == 1 {
				quad[i] = 1 - 2*int32(r.bit())
			}
		}
		if r.at > end {
			break // stuffing, which looked like a code
		}
		copy(is[n:], quad[:])
		n += 4
	}
	r.at = end
	return n
}

// value completes a value of the table: the bits beyond 15, and the sign.
func (t *pairTable) value(r *bitReader, v int) int32 {
	if v == 15 && t.linbits > 0 {
		v += r.bits(t.linbits)
	}
	if v != 0 && r.bit() == 1 {
		v = -v
	}
	return int32(v)
}
