package state

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// victimEnv is set in the process that is killed: to the directory of its store.
const victimEnv = "CALLENGINE_TEST_VICTIM"

// victim appends to many calls at once until it is killed, and prints what is safe.
func victim(dir string) {
	d, err := NewDurable(DurableConfig{Dir: dir})
	if err == nil {
		err = d.Open(context.Background())
	}
	if err != nil {
		fmt.Println("!", err)
		os.Exit(1)
	}
	run := os.Getpid()
	for worker := range 8 {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("c-%d-%d-%d", run, worker, n)
				for _, e := range []Entry{initiated(id), message(id, 700), message(id, 300), {CallID: id, Type: TypeDialog, Dialog: &Dialog{Snapshot: []byte(`{}`)}}, message(id, 100), ended(id)} {
					seq, err := d.Append(context.Background(), e)
					if err != nil {
						os.Exit(1)
					}
					if e.Vital() {
						if err := d.Await(context.Background(), id); err != nil {
							os.Exit(1)
						}
						fmt.Printf("%s %d\n", id, seq) // one write, with all that was appended to the call before
					}
				}
				seq, err := d.Owe(context.Background(), owing(id, "e-"+id))
				if err != nil {
					os.Exit(1)
				}
				fmt.Printf("%s %d owed\n", id, seq)
				if n%2 == 0 {
					_ = d.Delivered(context.Background(), id, seq) // may be lost: then the event is delivered again
				}
			}
		}()
	}
	select {}
}

func TestAKilledProcessLosesNothingThatWasAwaited(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	owed := map[string]uint64{} // that were not delivered for sure
	safe := map[string]uint64{}
	for round := range 6 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), victimEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		kill := 1 + rand.IntN(1500)
		for n := 0; lines.Scan(); n++ {
			var id, what string
			var seq uint64
			_, _ = fmt.Sscan(lines.Text(), &id, &seq, &what)
			require.NotEqual(t, "!", id, lines.Text())
			if !strings.HasPrefix(id, "c-") || seq == 0 {
				continue // cut short
			}
			safe[id] = max(safe[id], seq)
			if what == "owed" && strings.ContainsAny(id[len(id)-1:], "13579") {
				owed[id] = seq
			}
			if n == kill {
				require.NoError(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait() // it was killed
		t.Logf("round %d: %d calls", round, len(safe))

		d, logs := openDurable(t, DurableConfig{Dir: dir})
		for id, seq := range safe {
			journal, err := d.Journal(t.Context(), id)
			require.NoError(t, err, id)
			require.GreaterOrEqual(t, len(journal), int(seq), id)
			for i, e := range journal {
				require.Equal(t, uint64(i+1), e.Seq)
			}
		}
		debts, err := d.Debts(t.Context())
		require.NoError(t, err)
		there := map[string]uint64{}
		for _, debt := range debts {
			there[debt.CallID] = debt.Seq
		}
		for id, seq := range owed {
			require.Equal(t, seq, there[id], id)
		}
		unfinished, err := d.Unfinished(t.Context())
		require.NoError(t, err)
		assert.LessOrEqual(t, len(unfinished), 8*(round+1), "what each goroutine was at when it was killed")
		for _, l := range logs.All() {
			assert.NotContains(t, l.Message, "missing")
		}
		require.NoError(t, d.Close())
	}
	assert.NotEmpty(t, owed)
}
