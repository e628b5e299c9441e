package mp3

import "math"

// quantizer turns the spectral lines of a granule into values, as fine as there is room for.
type quantizer struct {
	is        [lines]int32
	gain      int    // global gain
	big       int    // lines with big values
	quads     int    // lines beyond them, in fours of which none is greater than 1
	regions   [2]int // bands in the first two regions
	ends      [3]int // lines where the regions end
	tables    [3]int
	quadTable int
	bits      int
}

const (
	finest   = 140 // gain below which values would tell apart what is less than a sample's smallest step
	coarsest = 255
)

// quantize finds the finest gain with which the lines take no more than these bits.
func (q *quantizer) quantize(xr *[lines]float32, room int) {
	var powered [lines]float32 // the 3/4th power
	for i, v := range xr {
		a := math.Abs(float64(v))
		powered[i] = float32(math.Sqrt(a * math.Sqrt(a)))
	}
	low, high := finest, coarsest
	for low < high {
		middle := (low + high) / 2
		if q.try(xr, &powered, middle) && q.bits <= room {
			high = middle
		} else {
			low = middle + 1
		}
	}
	q.try(xr, &powered, low)
}

// try quantizes with a gain and counts the bits; false: a value is too great for any table.
func (q *quantizer) try(xr, powered *[lines]float32, gain int) bool {
	q.gain = gain
	scale := float32(math.Pow(2, -3.0/16*float64(gain-210)))
	for i, p := range powered {
		v := p*scale + 0.4054
		if v > greatestValue {
			return false
		}
		q.is[i] = int32(v)
		if xr[i] < 0 {
			q.is[i] = -q.is[i]
		}
	}
	q.count()
	return true
}

// count parts the lines into regions, chooses their tables, and counts the bits.
func (q *quantizer) count() {
	last := lines
	for last > 0 && q.is[last-1] == 0 {
		last--
	}
	last += last & 1
	q.big, q.quads = last, 0
	for q.big >= 4 && q.small(q.big-4) {
		q.big -= 4
		q.quads += 4
	}
	// The quads begin where the big values end, which are pairs: a pair that is left over is a big value.
	q.bits = 0
	q.split()
	from := 0
	for i, to := range q.ends {
		q.tables[i] = q.choose(from, to)
		from = to
	}
	q.chooseQuads()
}

// small reports whether four lines fit into a quad.
func (q *quantizer) small(at int) bool {
	return abs(q.is[at]) <= 1 && abs(q.is[at+1]) <= 1 && abs(q.is[at+2]) <= 1 && abs(q.is[at+3]) <= 1
}

// split parts the big values into three regions of about as many bands each.
func (q *quantizer) split() {
	used := 0
	for used < 21 && bands8.long[used] < q.big {
		used++
	}
	first := min(max(used/3, 1), 16)
	second := min(max((used-first)/2, 1), 8)
	q.regions = [2]int{first, second}
	q.ends = [3]int{min(bands8.long[first], q.big), min(bands8.long[first+second], q.big), q.big}
}

// choose returns the table in which the lines take the fewest bits, and counts these.
func (q *quantizer) choose(from, to int) (table int) {
	greatest, signs := int32(0), 0
	for _, v := range q.is[from:to] {
		greatest = max(greatest, abs(v))
		if v != 0 {
			signs++
		}
	}
	if greatest == 0 {
		return 0
	}
	fewest := math.MaxInt
	for _, i := range candidates(greatest) {
		t := &writePairs[i]
		bits := 0
		for at := from; at < to; at += 2 {
			bits += t.cost(abs(q.is[at]), abs(q.is[at+1]))
		}
		if bits < fewest {
			table, fewest = i, bits
		}
	}
	q.bits += fewest + signs
	return table
}

// chooseQuads chooses the table of the quads.
func (q *quantizer) chooseQuads() {
	var bits [2]int
	for at := q.big; at < q.big+q.quads; at += 4 {
		v := q.quad(at)
		for t := range writeQuads {
			bits[t] += int(writeQuads[t][v].length)
		}
		for _, v := range q.is[at : at+4] {
			q.bits += int(abs(v))
		}
	}
	if q.quadTable = 0; bits[1] < bits[0] {
		q.quadTable = 1
	}
	q.bits += bits[q.quadTable]
}

// quad is the value of four lines, without their signs.
func (q *quantizer) quad(at int) (v int32) {
	for _, line := range q.is[at : at+4] {
		v = v<<1 | abs(line)
	}
	return v
}

// writeSide writes the granule's side information: a long block without scale factors.
func (q *quantizer) writeSide(w *bitWriter) {
	w.bits(uint32(q.bits), 12)
	w.bits(uint32(q.big/2), 9)
	w.bits(uint32(q.gain), 8)
	w.bits(0, 9) // scale factors: none
	w.bits(0, 1) // a long block
	for _, t := range q.tables {
		w.bits(uint32(t), 5)
	}
	w.bits(uint32(q.regions[0]-1), 4)
	w.bits(uint32(q.regions[1]-1), 3)
	w.bits(0, 1) // the scale of scale factors
	w.bits(uint32(q.quadTable), 1)
}

func (q *quantizer) writeLines(w *bitWriter) {
	from := 0
	for i, to := range q.ends {
		if q.tables[i] != 0 {
			for at := from; at < to; at += 2 {
				writePairs[q.tables[i]].put(w, q.is[at], q.is[at+1])
			}
		}
		from = to
	}
	for at := q.big; at < q.big+q.quads; at += 4 {
		c := writeQuads[q.quadTable][q.quad(at)]
		w.bits(c.code, int(c.length))
		for _, v := range q.is[at : at+4] {
			putSign(w, v)
		}
	}
}
