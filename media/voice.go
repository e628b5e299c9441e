package media

// Voice is one row of the voice table.
type Voice struct {
	Name   string // as documents call it: "susan"
	Locale string // "en_US"; "_" and "-", capitals and small letters are the same
	Gender string // "female" or "male"
	Engine string // the speech engine's own name of it: "en-us+f3"
}
