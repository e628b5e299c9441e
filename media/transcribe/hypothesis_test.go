package transcribe

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheOutputOfPocketsphinxIsRead(t *testing.T) {
	r, err := readHypothesis([]byte("the want\n<s> 0.000 0.470 0.999200\nthe(2) 0.480 1.210 0.500000\n<sil> 1.220 1.300 1.000200\n" +
		"want 1.310 1.900 0.250000\n[NOISE] 1.910 1.950 0.9\n(NULL) 1.950 1.950 1.000000\n</s> 1.960 2.160 1.000000\n"))
	require.NoError(t, err)
	assert.Equal(t, "the want", r.Text)
	assert.InDelta(t, 0.375, r.Confidence, 1e-9)
	require.Len(t, r.Items, 2)
	assert.Equal(t, Item{Content: "the", Start: 480 * time.Millisecond, End: 1210 * time.Millisecond, Confidence: 0.5, Stable: true}, r.Items[0])
	for name, out := range map[string]string{
		"nothing": "", "an empty text": "\n", "a text alone": "i do not know\n", "fillers": "<s> 0 1 1\n</s> 1 2 1\n",
		"no numbers": "one 1 2 NaN\n", "garbage": "\x00\xff \n\n((((\n",
	} {
		r, err := readHypothesis([]byte(out))
		require.NoError(t, err, name)
		assert.Empty(t, r.Text, name)
		assert.Zero(t, r.Confidence, name)
	}
	for _, out := range []string{"one 2 1 1\n", "one -1 1 1\n", "one 1 1e300 1\n"} {
		_, err := readHypothesis([]byte(out))
		assert.Error(t, err, out)
	}
}

func FuzzHypothesis(f *testing.F) {
	f.Add([]byte("hello\n<s> 0.0 0.1 1\nhello(2) 0.1 0.5 1.002\n"))
	f.Add([]byte("a 1e9 Inf 0\n( 1 2 3\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		r, err := readHypothesis(out)
		if err != nil {
			return
		}
		require.Equal(t, len(r.Items) == 0, r.Text == "")
		require.True(t, r.Confidence >= 0 && r.Confidence <= 1)
		for _, i := range r.Items {
			require.NotEmpty(t, i.Content)
			require.LessOrEqual(t, i.Start, i.End)
			require.True(t, i.Confidence >= 0 && i.Confidence <= 1)
		}
	})
}
