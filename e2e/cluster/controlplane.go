package cluster

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

//go:embed audit-policy.yaml
var auditPolicy []byte

// serverReadyWithin allows for a machine that is busy with other clusters; alone it takes 4 s.
const serverReadyWithin = 2 * time.Minute

// controlPlane is etcd, the API server, the controller manager and the scheduler.
type controlPlane struct {
	*api
	authority  *authority
	kubeconfig string // path; its user may do everything
	auditLog   string // path
}

// startControlPlane returns when the API server is ready.
func startControlPlane(ctx context.Context, s site, p *processes) (*controlPlane, error) {
	a, err := newAuthority(filepath.Join(s.dir, "pki"))
	if err != nil {
		return nil, err
	}
	etcdURL, err := startEtcd(s, p)
	if err != nil {
		return nil, err
	}
	port, err := freePort(s.host)
	if err != nil {
		return nil, err
	}
	c := &controlPlane{authority: a, auditLog: filepath.Join(s.dir, "audit.log")}
	server := "https://" + address(s.host, port)
	if c.kubeconfig, err = a.kubeconfig(s.dir, server, "admin", "system:masters"); err != nil {
		return nil, err
	}
	user, err := a.client("belay-cluster", "belay-cluster", "system:masters")
	if err != nil {
		return nil, err
	}
	if c.api, err = newAPI(server, a, user); err != nil {
		return nil, err
	}
	tokens, err := a.signingKey("service-accounts")
	if err != nil {
		return nil, err
	}
	if err := c.startServer(s, p, port, etcdURL, tokens); err != nil {
		return nil, err
	}
	if err := until(ctx, "the API server", serverReadyWithin, p.died, c.serving); err != nil {
		return nil, err
	}
	if err := c.startManager(s, p, tokens); err != nil {
		return nil, err
	}
	return c, c.startScheduler(s, p)
}

// startEtcd returns the URL at which etcd answers.
func startEtcd(s site, p *processes) (string, error) {
	var urls [2]string
	for i := range urls {
		port, err := freePort("127.0.0.1")
		if err != nil {
			return "", err
		}
		urls[i] = "http://" + address("127.0.0.1", port)
	}
	client, peer := urls[0], urls[1]
	return client, p.start(s.programs["etcd"], nil,
		"--data-dir="+filepath.Join(s.dir, "etcd"),
		"--unsafe-no-fsync", // nobody needs the data after a crash
		"--listen-client-urls="+client,
		"--advertise-client-urls="+client,
		"--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer,
		"--initial-cluster=default="+peer,
	)
}

func (c *controlPlane) startServer(s site, p *processes, port int, etcd string, tokens keyPair) error {
	services, err := netip.ParsePrefix(s.services)
	if err != nil {
		return fmt.Errorf("reading service range: %w", err)
	}
	// The first address of the range is that of the Service kubernetes.
	serving, err := c.authority.server("kube-apiserver", s.host, "localhost", "127.0.0.1", services.Addr().Next().String(),
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
	if err != nil {
		return err
	}
	toKubelet, err := c.authority.client("kubelet-client", "kube-apiserver-kubelet-client", "system:masters")
	if err != nil {
		return err
	}
	policy := filepath.Join(s.dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, auditPolicy, 0o644); err != nil {
		return fmt.Errorf("writing audit policy: %w", err)
	}
	endpoints := "--endpoint-reconciler-type=lease"
	if s.host == "127.0.0.1" {
		endpoints = "--endpoint-reconciler-type=none" // an endpoint may not be a loopback address
	}
	return p.start(s.programs["kube-apiserver"], nil,
		"--etcd-servers="+etcd,
		"--bind-address="+s.host,
		"--advertise-address="+s.host,
		fmt.Sprintf("--secure-port=%d", port),
		endpoints,
		"--tls-cert-file="+serving.certFile,
		"--tls-private-key-file="+serving.keyFile,
		"--client-ca-file="+c.authority.certFile,
		"--kubelet-certificate-authority="+c.authority.certFile,
		"--kubelet-client-certificate="+toKubelet.certFile,
		"--kubelet-client-key="+toKubelet.keyFile,
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-key-file="+tokens.certFile,
		"--service-account-signing-key-file="+tokens.keyFile,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range="+s.services,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction", // kubeadm's and kind's choice, beside the defaults
		"--allow-privileged=true",
		"--audit-policy-file="+policy,
		"--audit-log-path="+c.auditLog,
		"--audit-log-mode=blocking", // a request that has returned is in the log
	)
}

func (c *controlPlane) startManager(s site, p *processes, tokens keyPair) error {
	kubeconfig, err := c.authority.kubeconfig(c.authority.dir, c.server, "system:kube-controller-manager")
	if err != nil {
		return err
	}
	return p.start(s.programs["kube-controller-manager"], nil,
		"--kubeconfig="+kubeconfig,
		"--service-account-private-key-file="+tokens.keyFile,
		"--root-ca-file="+c.authority.certFile,
		"--cluster-signing-cert-file="+c.authority.certFile,
		"--cluster-signing-key-file="+c.authority.keyFile,
		"--use-service-account-credentials=true",
		"--leader-elect=false",
		"--node-monitor-period=1s", // not 5, so that a new node takes pods at once
		"--kube-api-qps=500",       // not 20, which takes up most of the start
		"--kube-api-burst=1000",
		"--flex-volume-plugin-dir="+filepath.Join(s.dir, "volume-plugins"), // made at the start; else in /usr
		"--secure-port=0",
	)
}

func (c *controlPlane) startScheduler(s site, p *processes) error {
	kubeconfig, err := c.authority.kubeconfig(c.authority.dir, c.server, "system:kube-scheduler")
	if err != nil {
		return err
	}
	return p.start(s.programs["kube-scheduler"], nil,
		"--kubeconfig="+kubeconfig,
		"--leader-elect=false",
		"--secure-port=0",
	)
}
