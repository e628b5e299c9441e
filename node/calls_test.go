package node

import (
	"testing"

	"github.com/callengine/callengine/sipstack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheFirstApplicationThatMatchesTakesTheCall(t *testing.T) {
	c := &calls{node: &Node{cfg: Config{Applications: []Application{
		{ID: "sales", Match: []string{"sales", "sales-*"}},
		{ID: "tenant", Match: []string{"*@tenant.example*"}},
		{ID: "numbers", Match: []string{"+1555*"}},
		{ID: "never", Match: []string{"sales"}},
	}}}}
	for name, tc := range map[string]struct {
		user, userHost string
		want           string
	}{
		"by its user part":                     {"sales", "sales@node.example", "sales"},
		"by a glob":                            {"sales-7", "sales-7@node.example", "sales"},
		"by user@host where the glob has an @": {"bob", "bob@tenant.example:5060", "tenant"},
		"a number":                             {"+15551230001", "+15551230001@node.example", "numbers"},
		"a slash is an ordinary character":     {"sales-a/b", "sales-a/b@node.example", "sales"},
		"none":                                 {"bob", "bob@node.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := c.application(sipstack.Invitation{User: tc.user, UserHost: tc.userHost})
			if tc.want == "" {
				assert.Nil(t, app)
				return
			}
			require.NotNil(t, app)
			assert.Equal(t, tc.want, app.ID)
		})
	}
}
