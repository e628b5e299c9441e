// Package sipstack takes SIP calls: listeners, dialogs and their legs, offers and answers, REFER and its subscription. It
// knows nothing of BXML, and of sound no more than where it goes.
//
// A [Stack] serves listeners. For every INVITE it asks who decides about calls, and hands the [Leg] of one that was let
// in to its [Admission]:
//
//	stack.OnInvite(func(inv sipstack.Invitation) (sipstack.Admission, error) { ... })
//	err := stack.Start(ctx)
//
//	// in Admission.Serve
//	err := leg.Answer(ctx)
//	referral, err := leg.Refer(ctx, "sip:carol@example.com")
//	<-referral.Done()
//	err = leg.Bye(ctx)
//
// [Stack.Invite] places a call, and returns its leg when that is answered.
//
// It uses sipgo up to its transactions (parser, transports, RFC 3261 section 17); the dialog is its own. How a message
// goes through it:
//
//   - A packet or a frame of a stream passes the access list and the [Observer] (listener.go, streamlistener.go, tap.go),
//     then sipgo's parser, then arrive.go, still in the order of the wire.
//   - sipgo starts a goroutine for it, and the order is lost. A request that is no repetition reaches handle.go; one in a
//     dialog waits there for its turn (inbox.go). A response goes to who sent the request (request.go).
//   - A request of ours goes to the targets of its URI, one after the other (locate.go, course.go: RFC 3263).
//   - What changes a session or keeps it alive is in reinvite.go and update.go where the peer asks, in refresh.go where we
//     do, and in glare.go where both do; reliable.go and prack.go have what comes before the answer.
//   - Nothing but the goroutine of an INVITE, or of a re-INVITE, stays with its request: until the ACK is in.
//
// A dialog outlives its call for as long as a referral is pending (RFC 5057), and is remembered 64*T1 longer, so that
// what comes late is told as the call's.
package sipstack
