package verbs

import "time"

// Resumed is an ability of calls whose process ended while a verb ran: the verb is executed once more. What it needs
// beyond that it asks here; most verbs need nothing.
type Resumed interface {
	// Elapsed is for how long the verb had been running, the answer of the call not counted; 0: it begins now.
	Elapsed() time.Duration
	// Asked reports whether the application had been asked for its reply to an event of this type, which the verb's next
	// [Call.Ask] repeats, whatever event it is given: nothing that led to the event is to be done once more.
	Asked(eventType string) bool
}

// elapsed is for how long the verb that runs has been running, where the call knows better than the clock.
func elapsed(call Call) time.Duration {
	if r, ok := call.(Resumed); ok {
		return r.Elapsed()
	}
	return 0
}

// asked reports whether the verb that runs had come as far as to an event of this type.
func asked(call Call, eventType string) bool {
	r, ok := call.(Resumed)
	return ok && r.Asked(eventType)
}
