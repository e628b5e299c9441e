package bench_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load is what sipp did.
type load struct {
	done, failed, retransmitted int
	took                        time.Duration
}

// rate is how many calls went well per second.
func (l load) rate() float64 { return float64(l.done) / l.took.Seconds() }

// clean reports that at most one call in a thousand failed.
func (l load) clean() bool { return l.failed*1000 <= l.done+l.failed }

// sipp places n calls with a scenario of testdata/sipp, at a rate per second.
func sipp(b testing.TB, scenario, to string, rate, n int, args ...string) load {
	b.Helper()
	file, err := filepath.Abs(filepath.Join("..", "..", "testdata", "sipp", scenario+".xml"))
	require.NoError(b, err)
	dir := b.TempDir()
	cmd := on(clientCore, "sipp", append([]string{to, "-sf", file, "-s", "bench", "-i", "127.0.0.1", "-t", "u1",
		"-r", strconv.Itoa(rate), "-m", strconv.Itoa(n), "-l", strconv.Itoa(20 * rate), "-nostdin", "-recv_timeout", "10000",
		"-trace_stat", "-stf", "stat.csv", "-fd", "1", "-timeout", "120", "-buff_size", "4000000"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TERM=dumb")
	start := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(start)
	statistics, openErr := os.Open(filepath.Join(dir, "stat.csv"))
	require.NoError(b, openErr, "%v: %s", err, out)
	defer statistics.Close()
	r := csv.NewReader(statistics)
	r.Comma, r.FieldsPerRecord = ';', -1
	rows, err := r.ReadAll()
	require.NoError(b, err)
	require.Greater(b, len(rows), 1, string(out))
	last := rows[len(rows)-1]
	value := func(name string) int {
		for i, h := range rows[0] {
			if h == name {
				v, err := strconv.Atoi(last[i])
				require.NoError(b, err)
				return v
			}
		}
		require.Fail(b, "sipp counts no "+name)
		return 0
	}
	return load{done: value("SuccessfulCall(C)"), failed: value("FailedCall(C)"), retransmitted: value("Retransmissions(C)"), took: took}
}
