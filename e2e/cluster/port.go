package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// freePort finds a TCP port of host that nothing listens on. It is below the range from which systems number
// outgoing connections, so that none of those takes it before the program that it is meant for does.
func freePort(host string) (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		listener, err := net.Listen("tcp", address(host, port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("finding a free port: none in 100 tries")
}

func address(host string, port int) string { return net.JoinHostPort(host, fmt.Sprint(port)) }
