package node

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHTTPOnAllOfIPv4IsNotOnIPv6(t *testing.T) {
	l, err := listenHTTP(context.Background(), "tcp", "0.0.0.0:0")
	require.NoError(t, err)
	defer l.Close()
	assert.NotNil(t, l.Addr().(*net.TCPAddr).IP.To4(), l.Addr().String())
}
