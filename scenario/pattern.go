package scenario

import (
	"fmt"
	"strconv"
	"strings"
)

// A pattern says which message is meant: a request by its method ("REFER"), a response by its code and, if that is not
// enough, the method that it answers ("200", "200 BYE", "4xx", "4xx INVITE"). "*" is any message.
type pattern struct {
	method string
	low    int // of the codes; 0: a request
	high   int
}

func parsePattern(s string) (pattern, error) {
	f := strings.Fields(s)
	if len(f) == 0 || len(f) > 2 {
		return pattern{}, fmt.Errorf("%q names no message: want a method, or a code and perhaps a method", s)
	}
	if f[0][0] < '0' || f[0][0] > '9' {
		if len(f) == 2 {
			return pattern{}, fmt.Errorf("%q names no message: a request has a method alone", s)
		}
		return pattern{method: f[0]}, nil
	}
	p := pattern{}
	if len(f) == 2 {
		p.method = f[1]
	}
	code, err := strconv.Atoi(strings.Replace(strings.ToLower(f[0]), "xx", "00", 1))
	if err != nil || code < 100 || code > 699 {
		return pattern{}, fmt.Errorf("%q names no message: want a code from 100 to 699, or a class such as 4xx", s)
	}
	p.low, p.high = code, code
	if strings.HasSuffix(strings.ToLower(f[0]), "xx") {
		p.high = code + 99
	}
	return p, nil
}

func (p pattern) matches(m *Message) bool {
	if p.low == 0 {
		return p.method == "*" || m.IsRequest() && m.Method() == p.method
	}
	code := m.Code()
	return code >= p.low && code <= p.high && (p.method == "" || p.method == m.Method())
}
