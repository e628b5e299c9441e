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
//   - A packet or a frame of a stream passes the access list, the gate, which answers what breaks the grammar, the [Door]
//     (a request over a stream meets it later, in handle.go), and the [Observer]; then sipgo's parser, then arrive.go,
//     still in the order of the wire.
//   - A request that was answered before gets the same answer once more (repeat.go), unless it came over a stream or is an INVITE.
//   - sipgo starts a goroutine for any other, and the order is lost. A request that is no repetition reaches handle.go; one in a
//     dialog waits there for its turn (inbox.go). A response goes to who sent the request.
//   - A request of ours goes to the targets of its URI, one after the other.
//   - Nothing but the goroutine of an INVITE, or of a re-INVITE, stays with its request: until the ACK is in.
//
// What is where:
//
//   - The stack: stack.go, config.go, errors.go, observer.go, addresses.go; hostnetwork.go and librarylog.go for what it is given.
//   - Sockets: datagrams_linux.go, datagrams_other.go, listener.go, streamlistener.go, streamconn.go, framer.go, dead.go; certificates.go and
//     sips.go for TLS; tap.go and sniff.go for the observer.
//   - Who may come in: acl.go, door.go, sources.go, recently.go, refused.go, stateless.go; authenticate.go and
//     nonce.go for callers.
//   - The grammar: gate.go, raw.go, plain.go, tidy.go, wellformed.go; values of header fields in field.go, uri.go, optiontag.go,
//     eventheader.go, rack.go, sessionexpires.go, sipfrag.go, sdpformat.go.
//   - Requests that come: arrive.go, handle.go, handover.go, workers.go, inbox.go, capable.go, infooptions.go, dtmfinfo.go,
//     respond.go and reconnect.go; finals.go, ages.go, repeat.go and transactionkey.go for those that come once more.
//   - A call that comes in: invite.go, invitation.go, answer.go, ack.go; reliable.go and prack.go before the answer.
//   - A call of ours: outbound.go, place.go, fork.go, dialogout.go.
//   - Every call: leg.go, dialog.go, bye.go, keepalive.go; remains.go, bygones.go and delayed.go after its end; session.go, sdp.go and sdpsecure.go for its sound.
//   - Changes of a session, and what keeps it alive: reinvite.go and update.go where the peer asks, refresh.go where we do,
//     glare.go where both do, sessiontimer.go.
//   - Requests of ours: request.go, completed.go, digest.go, oversize.go; where they go in flow.go, locate.go, naptr.go,
//     course.go, outages.go.
//   - REFER: referral.go, referrals.go, subscription.go.
//   - After a restart: snapshot.go is what is written down, history.go what the messages tell; restore.go, returning.go
//     (an INVITE that is handled once more), revive.go, referralresume.go and reoffer.go go on.
//
// What another process had of a call is given to [Stack.Restore] between Bind and Start.
//
// A dialog outlives its call for as long as a referral is pending (RFC 5057), and is remembered 64*T1 longer, so that
// what comes late is told as the call's.
package sipstack
