// Package interpreter runs calls: one [Runner] per call asks the application for a document, executes it verb by verb,
// follows what each verb leads to, and sees to it that the call ends with exactly one disconnect event.
//
// It knows neither SIP nor HTTP nor XML: the call's leg, the application and the language are interfaces or packages
// that it is handed.
package interpreter
