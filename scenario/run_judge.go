package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
)

// judge compares what happened with what is expected.
func (r *run) judge() {
	x := &r.spec.Expect
	r.broken = r.broken || len(r.failures) > 0
	r.judgeOrder(x.Order)
	for i := range x.Anywhere {
		r.judgeAnywhere(&x.Anywhere[i])
	}
	for i := range x.Never {
		e := &x.Never[i]
		for j := range r.journal {
			if why, near := r.differs(e, j); near && why == "" {
				r.differ(removing(e.position), e.position, r.journal[j].Seq, "%s must never come", e.name())
				break
			}
		}
	}
	if x.Verbs != nil {
		r.judgeNames(x.position, "verbs", *x.Verbs, func(e state.Entry) string {
			if e.Verb != nil && e.Verb.Event == state.VerbStarted {
				return e.Verb.Name
			}
			return ""
		})
	}
	if x.Webhooks != nil {
		r.judgeNames(x.position, "webhooks", *x.Webhooks, func(e state.Entry) string {
			if e.Webhook != nil && e.Webhook.Event == state.WebhookRequest {
				return e.Webhook.EventType
			}
			return ""
		})
	}
	r.judgeRecord()
	r.judgeIDs()
	for i := range x.Heard {
		if !r.broken {
			r.judgeSound(&x.Heard[i])
		}
	}
	r.judgeSockets()
	for _, name := range slices.Sorted(maps.Keys(x.Called)) {
		r.judgeCalled(name, x.Called[name])
	}
}

// differ notes a failure. by has the file expect what happened in place of that.
func (r *run) differ(by fix, at position, after uint64, format string, args ...any) {
	r.failures = append(r.failures, Failure{at.line, at.column, fmt.Sprintf(format, args...), after, by})
}

// missing is differ for what did not come. Of a call that was broken off that says nothing.
func (r *run) missing(by fix, at position, after uint64, format string, args ...any) {
	if !r.broken {
		r.differ(by, at, after, format, args...)
	}
}

// last is the number of the journal's last entry.
func (r *run) last() uint64 {
	if len(r.journal) == 0 {
		return 0
	}
	return r.journal[len(r.journal)-1].Seq
}

// judgeOrder looks for each item behind the one before it, and stops at the first that is missing: what follows it would
// only be missing for the same reason.
func (r *run) judgeOrder(items []expectation) {
	from, before := 0, r.began
	for i := range items {
		e := &items[i]
		found, near, why := -1, -1, ""
		for j := from; j < len(r.journal); j++ {
			what, same := r.differs(e, j)
			if !same {
				continue
			}
			if what == "" {
				found = j
				break
			}
			if near < 0 {
				near, why = j, what
			}
		}
		after := uint64(0)
		if from > 0 {
			after = r.journal[from-1].Seq
		}
		switch {
		case found < 0 && near >= 0:
			r.differ(r.likeEntry(e, near), e.position, r.journal[near].Seq, "%s came, but %s", e.name(), why)
			return
		case found < 0 && i > 0:
			r.missing(regenerating("order"), e.position, after, "%s did not come after %s", e.name(), items[i-1].name())
			return
		case found < 0:
			r.missing(regenerating("order"), e.position, r.last(), "%s did not come", e.name())
			return
		}
		r.judgeTimes(e)
		passed := r.journal[found].Time.Sub(before).Round(time.Millisecond)
		if e.Within > 0 && passed > e.Within {
			r.differ(setting(e.position, "within", roughly(passed, 3, 2)), e.position, r.journal[found].Seq,
				"%s came after %v, and must come within %v", e.name(), passed, e.Within)
		}
		if passed < e.After {
			r.differ(setting(e.position, "after", roughly(passed, 1, 2)), e.position, r.journal[found].Seq,
				"%s came after %v, and must not come before %v", e.name(), passed, e.After)
		}
		from, before = found+1, r.journal[found].Time
	}
}

func (r *run) judgeAnywhere(e *expectation) {
	near, why := -1, ""
	for j := range r.journal {
		what, same := r.differs(e, j)
		switch {
		case same && what == "":
			r.judgeTimes(e)
			return
		case same && near < 0:
			near, why = j, what
		}
	}
	switch {
	case e.Times != nil && *e.Times == 0:
	case near >= 0:
		r.differ(r.likeEntry(e, near), e.position, r.journal[near].Seq, "%s came, but %s", e.name(), why)
	default:
		r.missing(removing(e.position), e.position, r.last(), "%s did not come", e.name())
	}
}

// judgeTimes counts. A packet that was sent again is the same message.
func (r *run) judgeTimes(e *expectation) {
	if e.Times == nil {
		return
	}
	n, last, seen := 0, uint64(0), map[string]bool{}
	for j, entry := range r.journal {
		if why, same := r.differs(e, j); !same || why != "" {
			continue
		}
		if entry.SIP != nil && entry.SIP.Raw != "" {
			key := entry.SIP.Direction + entry.SIP.Raw
			if seen[key] {
				continue
			}
			seen[key] = true
		}
		n, last = n+1, entry.Seq
	}
	if n != *e.Times {
		r.differ(setting(e.position, "times", n), e.position, last, "%s came %s, and must come %s", e.name(), times(n), times(*e.Times))
	}
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// judgeNames compares the names of all entries of a kind with a list of them.
func (r *run) judgeNames(at position, what string, want nameList, name func(state.Entry) string) {
	var got []string
	var seqs []uint64
	for _, e := range r.journal {
		if n := name(e); n != "" {
			got, seqs = append(got, n), append(seqs, e.Seq)
		}
	}
	if slices.Equal(got, want) || r.broken && len(got) < len(want) && slices.Equal(got, want[:len(got)]) {
		return
	}
	first := 0
	for first < min(len(got), len(want)) && got[first] == want[first] {
		first++
	}
	after := r.last()
	if first < len(seqs) {
		after = seqs[first]
	}
	r.differ(regenerating(what), at, after, "%s: there were %s, and must be %s", what, listed(got), listed(want))
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// judgeIDs holds the node to what applications tell a repetition by: a webhook carries the id of its event, each time that
// it is sent.
func (r *run) judgeIDs() {
	if r.app == nil || r.broken {
		return
	}
	known := map[string]bool{}
	for _, e := range r.journal {
		if e.Webhook != nil && e.Webhook.Event == state.WebhookRequest {
			known[e.Webhook.EventType+" "+e.Webhook.EventID] = true
		}
	}
	for _, e := range r.app.Events() {
		if e.Type() != "" && e.Text("callId") == r.record.CallID && !known[e.Type()+" "+e.ID()] {
			r.differ(nil, position{}, r.last(), "webhook %s came with %q for its Callengine-Event-Id, which is not the event's", e.Type(), e.ID())
			return
		}
	}
}

func (r *run) judgeRecord() {
	want := r.spec.Expect.Record
	if want == nil || r.broken {
		return
	}
	record, err := object(r.record)
	if err != nil || r.record.CallID == "" {
		r.differ(nil, r.spec.Expect.position, r.last(), "the node has no record of the call")
		return
	}
	for _, p := range *want {
		if why := (properties{p}).differs(record, r.addresses); why != "" {
			by := alike(r.addresses, &p.matcher, record[p.name], record[p.name] != nil)
			if by == nil {
				by = regenerating("record")
			}
			r.differ(by, p.position, r.last(), "the record's %s", why)
		}
	}
}

// object is a value as JSON has it, with numbers as they are written.
func object(v any) (map[string]any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var o map[string]any
	return o, d.Decode(&o)
}
