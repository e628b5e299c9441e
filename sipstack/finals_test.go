package sipstack

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var finalsPeer = netip.MustParseAddrPort("192.0.2.1:5062")

// size is how many ages there are, and the bytes in them.
func (f *finals) size() (ages, bytes int) {
	f.ages.mu.Lock()
	defer f.ages.mu.Unlock()
	return len(f.ages.ages), f.ages.kept
}

func (f *finals) has(key string) bool {
	_, _, ok := f.find([]byte(key))
	return ok
}

func TestFinalsAreKeptFor32SecondsAndThenGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFinals(maxFinals)
		defer f.close()
		for n := range 400 { // for 40 s
			f.keep([]byte(fmt.Sprint("branch-", n)), finalsPeer, []byte(fmt.Sprint("response ", n)))
			time.Sleep(100 * time.Millisecond)
		}
		for n := range 400 {
			res, to, ok := f.find([]byte(fmt.Sprint("branch-", n)))
			if before := time.Duration(400-n) * 100 * time.Millisecond; before >= linger() {
				assert.False(t, ok, "%v", before)
				continue
			}
			require.True(t, ok, n)
			assert.Equal(t, fmt.Sprint("response ", n), string(res))
			assert.Equal(t, finalsPeer, to)
		}
		ages, _ := f.size()
		assert.LessOrEqual(t, ages, ageParts+2)
		time.Sleep(linger() + linger()/ageParts + time.Second)
		synctest.Wait()
		ages, kept := f.size()
		assert.Zero(t, ages, "nobody has to ask")
		assert.Zero(t, kept)
	})
}

func TestTheNewestFinalOfATransactionCounts(t *testing.T) {
	f := newFinals(maxFinals)
	defer f.close()
	v6 := netip.MustParseAddrPort("[2001:db8::1]:5060")
	f.keep([]byte("branch"), finalsPeer, []byte("one"))
	f.keep([]byte("branch"), v6, []byte("two"))
	res, to, ok := f.find([]byte("branch"))
	require.True(t, ok)
	assert.Equal(t, "two", string(res))
	assert.Equal(t, v6, to)
	assert.False(t, f.has("branc"))
	f.keep([]byte("scoped"), netip.MustParseAddrPort("[fe80::1%eth0]:5060"), []byte("one"))
	assert.False(t, f.has("scoped"), "where it went could not be told")
	f.keep([]byte("long"), finalsPeer, make([]byte, 1<<16))
	assert.False(t, f.has("long"), "it was no packet")
	f.keep([]byte("longest"), finalsPeer, make([]byte, 65507))
	assert.True(t, f.has("longest"))
	f.close()
	f.keep([]byte("late"), finalsPeer, []byte("one"))
	assert.False(t, f.has("late"))
	assert.False(t, f.has("branch"))
}

func TestBeyondTheirBoundTheOldestFinalsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 256 << 10
		f := newFinals(most)
		defer f.close()
		res := []byte(strings.Repeat("x", 500))
		for n := range 4000 { // 2 MB in 20 s
			f.keep([]byte(fmt.Sprint("branch-", n)), finalsPeer, res)
			_, kept := f.size()
			require.LessOrEqual(t, kept, most)
			assert.True(t, f.has(fmt.Sprint("branch-", n)))
			time.Sleep(5 * time.Millisecond)
		}
		assert.False(t, f.has("branch-0"))
		for n := range 2000 { // in one breath
			f.keep([]byte(fmt.Sprint("flood-", n)), finalsPeer, res)
			_, kept := f.size()
			require.LessOrEqual(t, kept, most)
		}
		assert.True(t, f.has("flood-1999"))
	})
}

func TestAFinalIsKeptWithoutAnythingOfItsOwn(t *testing.T) {
	f := newFinals(maxFinals)
	defer f.close()
	res := []byte(strings.Repeat("x", 500))
	key, n := make([]byte, 8), uint64(0)
	assert.Zero(t, testing.AllocsPerRun(20_000, func() {
		n++
		binary.BigEndian.PutUint64(key, n)
		f.keep(key, finalsPeer, res)
	}), "allocations of each, on the average")
	f.ages.mu.Lock()
	defer f.ages.mu.Unlock()
	pieces := 0
	for _, g := range f.ages.ages {
		pieces += len(g.pieces)
	}
	assert.LessOrEqual(t, pieces, f.ages.kept/largestPiece+5*len(f.ages.ages), "as many share one however much there is")
}
