package webhook

// NewRedirect makes the event of a <Redirect>, which asks for the next document.
func NewRedirect(c Call) Event {
	p := propertiesOf("redirect", c)
	return build(p, &p)
}
