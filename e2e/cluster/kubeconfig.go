package cluster

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// kubeconfigFormat takes the authority's certificate, the server's URL, and the user's certificate and key.
// All is inside, so that the file can be copied elsewhere.
const kubeconfigFormat = `apiVersion: v1
kind: Config
clusters:
- name: belay
  cluster:
    certificate-authority-data: %s
    server: %s
users:
- name: belay
  user:
    client-certificate-data: %s
    client-key-data: %s
contexts:
- name: belay
  context: {cluster: belay, user: belay}
current-context: belay
`

// kubeconfig issues a certificate for a user and writes a kubeconfig for it to a file in dir, whose path it
// returns.
func (a *authority) kubeconfig(dir, server, user string, groups ...string) (string, error) {
	name := user[strings.LastIndex(user, ":")+1:]
	pair, err := a.client(name, user, groups...)
	if err != nil {
		return "", err
	}
	var data [3]string
	for i, path := range []string{a.certFile, pair.certFile, pair.keyFile} {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("reading key pair: %w", err)
		}
		data[i] = base64.StdEncoding.EncodeToString(content)
	}
	path := filepath.Join(dir, name+".kubeconfig")
	content := fmt.Sprintf(kubeconfigFormat, data[0], server, data[1], data[2])
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("writing kubeconfig: %w", err)
	}
	return path, nil
}
