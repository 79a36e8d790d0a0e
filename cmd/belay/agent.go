package main

import (
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/klog/v2"

	"github.com/belay-gitops/belay/sync/cluster"
)

// agentFlags are what only the operator of the agent decides, never a Sync.
type agentFlags struct {
	namespace         string
	leaderElection    bool
	leaseDuration     time.Duration
	metrics, health   string
	concurrency       int
	apiConcurrency    int
	cacheDir          string
	allowHTTP         bool
	registries        registryFlags
	renderMemory      int64
	renderConcurrency int
	verbose           bool
	pprof             string
}

func newAgent(flags *genericclioptions.ConfigFlags) *cobra.Command {
	var a agentFlags
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run the agent; this is what the Pod runs that `belay install` makes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := flags.ToRESTConfig()
			if err != nil {
				return err
			}
			config.UserAgent = userAgent()
			images, err := a.registries.read(apiServers(config.Host))
			if err != nil {
				return err
			}
			renderer, err := newRenderer(a.renderMemory, a.renderConcurrency)
			if err != nil {
				return err
			}
			defer renderer.close()
			logger := a.logger()
			klog.SetLogger(logger)
			lean()
			if err := serveProfiles(cmd.Context(), a.pprof); err != nil {
				return err
			}
			return cluster.Run(cmd.Context(), config, cluster.AgentOptions{
				Namespace:      a.namespace,
				LeaderElection: a.leaderElection,
				LeaseDuration:  a.leaseDuration,
				MetricsAddress: a.metrics,
				HealthAddress:  a.health,
				Concurrency:    a.concurrency,
				APIConcurrency: a.apiConcurrency,
				Logger:         logger,
			}, func(c *cluster.Cluster) (cluster.Passes, error) { return newPasses(c, renderer, a, images) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.namespace, "agent-namespace", os.Getenv("POD_NAMESPACE"), "the namespace of the agent's lease")
	f.BoolVar(&a.leaderElection, "leader-elect", true, "write only while holding the lease")
	f.DurationVar(&a.leaseDuration, "lease-duration", 30*time.Second, "after how long without a sign of life an agent is succeeded; whole seconds")
	f.StringVar(&a.metrics, "metrics-address", ":8080", `where /metrics is served; "0" for nowhere`)
	f.StringVar(&a.health, "health-address", ":8081", `where /healthz and /readyz are served; "0" for nowhere`)
	f.IntVar(&a.concurrency, "concurrency", 16, "how many Syncs are worked on side by side")
	f.IntVar(&a.apiConcurrency, "api-concurrency", 32, "how many requests to the API server are in flight at a time, but for watches, logs and the lease")
	f.StringVar(&a.cacheDir, "cache-dir", os.TempDir(), "where fetched Git objects are kept")
	f.BoolVar(&a.allowHTTP, "allow-http", false, "accept http:// and file:// repositories")
	a.registries.addTo(cmd)
	f.Int64Var(&a.renderMemory, "render-memory", 512<<20, "how many bytes of memory rendering one Sync may take")
	f.IntVar(&a.renderConcurrency, "render-concurrency", 2, "how many Syncs are rendered side by side")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log more")
	f.StringVar(&a.pprof, "pprof-address", "", "where /debug/pprof is served, on this machine alone")
	f.MarkHidden("pprof-address") //nolint:errcheck // it is there
	flags.AddFlags(cmd.PersistentFlags())
	return cmd
}

func (a agentFlags) logger() logr.Logger {
	level := slog.LevelInfo
	if a.verbose {
		level = slog.LevelDebug
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
