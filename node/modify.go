package node

import (
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

// Redirect implements [api.Modifier].
func (c *calls) Redirect(callID string, to interpreter.Redirection) error {
	if r := c.runner(callID); r != nil {
		return r.Redirect(to)
	}
	return interpreter.ErrNotModifiable
}

// Replace implements [api.Modifier].
func (c *calls) Replace(callID string, document []byte) error {
	if r := c.runner(callID); r != nil {
		return r.Replace(document)
	}
	return interpreter.ErrNotModifiable
}

// Complete implements [api.Modifier].
func (c *calls) Complete(callID string) error {
	if r := c.runner(callID); r != nil {
		return r.Complete()
	}
	return interpreter.ErrNotModifiable
}

// PauseRecording implements [api.Modifier].
func (c *calls) PauseRecording(callID string, paused bool) error {
	c.mu.Lock()
	t := c.takes[callID]
	c.mu.Unlock()
	if t == nil || !t.pause(paused) {
		return api.ErrNoRecording
	}
	return nil
}
