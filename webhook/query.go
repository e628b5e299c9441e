package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// withProperties returns a URL's query with the properties of an event added (docs/webhooks.md): nested objects by dotted
// names, arrays as repeated parameters, in the order of the body. What the query held stays as it is; a property without
// a value (null, an empty array or object) is left out.
func withProperties(query string, body []byte) (string, error) {
	var b strings.Builder
	b.WriteString(query)
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // numbers stay as they are written
	if err := flatten(&b, d, ""); err != nil {
		return "", fmt.Errorf("properties as query parameters: %w", err)
	}
	return b.String(), nil
}

// flatten writes the next value of d under a name.
func flatten(b *strings.Builder, d *json.Decoder, name string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		for d.More() {
			inner := name
			if v == '{' {
				key, err := d.Token()
				if err != nil {
					return err
				}
				if inner = key.(string); name != "" { // a key is always a string
					inner = name + "." + inner
				}
			}
			if err := flatten(b, d, inner); err != nil {
				return err
			}
		}
		_, err := d.Token() // the closing delimiter
		return err
	case nil:
		return nil
	}
	if b.Len() > 0 {
		b.WriteByte('&')
	}
	b.WriteString(url.QueryEscape(name) + "=" + url.QueryEscape(fmt.Sprint(token)))
	return nil
}
