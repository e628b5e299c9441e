package node

import (
	"errors"

	"github.com/callengine/callengine/api"
	"github.com/callengine/callengine/interpreter"
)

var _ api.Modifier = (*calls)(nil)

// serving notes who runs a call until the function that it returns is called.
func (c *calls) serving(id string, runner *interpreter.Runner, t *takes) (served func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runners[id], c.takes[id] = runner, t
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.runners, id)
		delete(c.takes, id)
	}
}

// runner returns who runs a call; nil: nobody does.
func (c *calls) runner(id string) *interpreter.Runner {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runners[id]
}

// modify changes a call that this node runs.
func (c *calls) modify(callID string, wanted modification) error {
	r := c.runner(callID)
	switch {
	case wanted.Pause != nil:
		return c.pauseRecording(callID, *wanted.Pause)
	case r == nil:
		return interpreter.ErrNotModifiable
	case wanted.Redirect != nil:
		return r.Redirect(*wanted.Redirect)
	case wanted.Complete:
		return r.Complete()
	}
	return r.Replace(wanted.Replace)
}

// anywhere changes a call, whichever node runs it.
func (c *calls) anywhere(callID string, wanted modification) error {
	if c.runner(callID) == nil {
		return c.elsewhere(callID, wanted)
	}
	return c.modify(callID, wanted)
}

// Redirect implements [api.Modifier].
func (c *calls) Redirect(callID string, to interpreter.Redirection) error {
	return c.anywhere(callID, modification{Redirect: &to})
}

// Replace implements [api.Modifier].
func (c *calls) Replace(callID string, document []byte) error {
	return c.anywhere(callID, modification{Replace: document})
}

// Complete implements [api.Modifier].
func (c *calls) Complete(callID string) error {
	return c.anywhere(callID, modification{Complete: true})
}

// PauseRecording implements [api.Modifier].
func (c *calls) PauseRecording(callID string, paused bool) error {
	err := c.anywhere(callID, modification{Pause: &paused})
	if errors.Is(err, interpreter.ErrNotModifiable) { // nobody runs it
		err = api.ErrNoRecording
	}
	return err
}

func (c *calls) pauseRecording(callID string, paused bool) error {
	c.mu.Lock()
	t := c.takes[callID]
	c.mu.Unlock()
	if t == nil || !t.pause(paused) {
		return api.ErrNoRecording
	}
	return nil
}
