package interpreter

import (
	"context"
	"testing"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// openChanges are those of a call whose first document runs, under a context of its own.
func openChanges(t *testing.T) (q *changes, life, document context.Context) {
	life, end := context.WithCancelCause(t.Context())
	t.Cleanup(func() { end(nil) })
	document, interrupt := context.WithCancelCause(life)
	t.Cleanup(func() { interrupt(nil) })
	q = &changes{}
	q.begin(life, end)
	q.document(interrupt)
	q.fetched("https://app.example/")
	return q, life, document
}

func aChange(base string) (change, error) {
	return change{entry: state.Call{Change: base}}, nil
}

func TestNothingIsAcceptedOnceTheEndIsDecided(t *testing.T) {
	q, _, document := openChanges(t)
	assert.Empty(t, q.take())
	assert.ErrorIs(t, q.offer(aChange), ErrNotModifiable)
	assert.ErrorIs(t, q.complete(), ErrNotModifiable)
	assert.NoError(t, document.Err())
}

func TestWhatIsAcceptedIsTaken(t *testing.T) {
	q, life, document := openChanges(t)
	require.NoError(t, q.offer(aChange))
	assert.ErrorIs(t, context.Cause(document), verbs.ErrReplaced)
	assert.NoError(t, life.Err())
	require.Len(t, q.take(), 1)
	assert.Equal(t, []state.Call{{Change: "https://app.example/"}}, q.entries())
	assert.Empty(t, q.entries(), "once")
	require.NoError(t, q.offer(aChange), "the next document is running")
}

func TestAChangeThatComesBetweenTwoDocumentsEndsTheSecond(t *testing.T) {
	q, life, _ := openChanges(t)
	require.NoError(t, q.offer(aChange))
	second, interrupt := context.WithCancelCause(life)
	defer interrupt(nil)
	q.document(interrupt)
	assert.ErrorIs(t, context.Cause(second), verbs.ErrReplaced)
}

func TestAReferOrAChangeComesFirst(t *testing.T) {
	t.Run("the change", func(t *testing.T) {
		q, _, document := openChanges(t)
		require.NoError(t, q.offer(aChange))
		assert.ErrorIs(t, q.refer(document), verbs.ErrReplaced, "no REFER may be sent")
		assert.NoError(t, q.offer(aChange), "none is under way")
	})
	t.Run("the Refer", func(t *testing.T) {
		q, _, document := openChanges(t)
		require.NoError(t, q.refer(document))
		assert.ErrorIs(t, q.offer(aChange), ErrNotModifiable)
		q.referred()
		assert.NoError(t, q.offer(aChange))
	})
	t.Run("a document is being read when the Refer begins", func(t *testing.T) {
		q, _, document := openChanges(t)
		err := q.offer(func(base string) (change, error) {
			require.NoError(t, q.refer(document))
			return aChange(base)
		})
		assert.ErrorIs(t, err, ErrNotModifiable)
		assert.NoError(t, document.Err())
		assert.Empty(t, q.entries())
	})
}
