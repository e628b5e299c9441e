package jitter

import "math"

// isQuiet reports whether nothing would be missed of pcm.
func isQuiet(pcm []int16) bool {
	sum := 0
	for _, v := range pcm {
		sum += max(int(v), -int(v))
	}
	return sum < quiet*len(pcm)
}

// alike returns after how many samples the beginning of pcm is most like itself, and how much that is, up to 1.
func alike(pcm []int16, least, most int) (lag int, likeness float64) {
	lag = most
	for l := least; l <= most; l++ {
		var product, first, second float64
		for i := range l {
			a, b := float64(pcm[i]), float64(pcm[l+i])
			product, first, second = product+a*b, first+a*a, second+b*b
		}
		if first == 0 || second == 0 {
			continue
		}
		if score := product / math.Sqrt(first*second); score > likeness {
			lag, likeness = l, score
		}
	}
	return lag, likeness
}
