package state

// Figures are what a durable store counts.
type Figures struct {
	Failing   float64 // 1: nothing can be written
	Calls     int     // that are kept
	Unwritten int     // entries that are in memory alone
	Stored    uint64  // bytes of journals on disk, as of the last look

	// Since the start: entries, messages and bytes sent to the disk, and how often that began to fail.
	Entries, Messages, Bytes, Failures uint64
}

// Figures returns the figures of now.
func (d *Durable) Figures() Figures {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.figures
	f.Calls = len(d.calls)
	if d.failing != nil {
		f.Failing = 1
	}
	for _, c := range d.fresh { // all that was appended of late
		if c.held != nil {
			f.Unwritten += c.entries.len() - int(c.disk.written)
		}
	}
	return f
}
