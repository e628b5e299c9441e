package interpreter

import (
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// Record implements [verbs.Recorder].
func (c *call) Record(r verbs.Recording) (verbs.Take, error) {
	r, err := c.recording(r)
	if err != nil {
		return nil, err
	}
	return c.leg.Record(c.Info(), r), nil
}

// StartRecording implements [verbs.Recorder].
func (c *call) StartRecording(r verbs.Recording) error {
	r, err := c.recording(r)
	if err != nil {
		return err
	}
	c.leg.StartRecording(c.Info(), r)
	return nil
}

// recording resolves the URLs: what is told of a recording later is told when its document is gone.
func (c *call) recording(r verbs.Recording) (verbs.Recording, error) {
	for _, to := range []**webhook.Target{&r.Available, &r.Transcribed} {
		if *to == nil {
			continue
		}
		resolved, err := c.resolve(**to)
		if err != nil {
			return r, err
		}
		*to = &resolved
	}
	return r, nil
}

func (c *call) StopRecording()   { c.leg.StopRecording() }
func (c *call) PauseRecording()  { c.leg.PauseRecording() }
func (c *call) ResumeRecording() { c.leg.ResumeRecording() }
