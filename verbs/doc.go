// Package verbs is the language: it parses and validates BXML documents and holds what each verb does, one verb in one
// file that reads like its page of the specification.
//
// A verb knows nothing of SIP, RTP or HTTP messages. It acts on a [Call] and on the further abilities of it that are
// declared here ([Referrer], [Ringer], [Player], …), which whoever runs a document provides.
package verbs
