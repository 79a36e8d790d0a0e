package cluster

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/registry"
)

// services are the Git server, the image registry and their control, which run in this process.
type services struct {
	git, registry, control string // HOST:PORT
	gitRoot                string // path

	servers []*http.Server
	log     *os.File
}

func startServices(s site) (*services, error) {
	file, err := os.Create(filepath.Join(s.dir, "logs", "git.log"))
	if err != nil {
		return nil, fmt.Errorf("making log: %w", err)
	}
	v := &services{gitRoot: filepath.Join(s.dir, "git"), log: file}
	if err := v.serve(s.host); err != nil {
		v.stop()
		return nil, err
	}
	return v, nil
}

func (v *services) serve(host string) error {
	git, err := newGitServer(v.gitRoot, v.log)
	if err != nil {
		return err
	}
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0))) // blobs stay in memory
	gates := map[string]*gate{"git": newGate(git), "registry": newGate(images)}
	for _, server := range []struct {
		handler http.Handler
		address *string
	}{
		{gates["git"], &v.git},
		{gates["registry"], &v.registry},
		{control(gates), &v.control},
	} {
		if *server.address, err = v.listen(host, server.handler); err != nil {
			return err
		}
	}
	return nil
}

func (v *services) listen(host string, handler http.Handler) (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: handler, ErrorLog: log.New(v.log, "", log.LstdFlags)}
	v.servers = append(v.servers, server)
	go server.Serve(listener) //nolint:errcheck // it returns when stop closes it
	return listener.Addr().String(), nil
}

func (v *services) stop() {
	for _, server := range v.servers {
		server.Close()
	}
	v.log.Close()
}
