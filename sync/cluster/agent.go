package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// AgentOptions say how an agent runs.
type AgentOptions struct {
	Namespace      string // of the lease
	LeaderElection bool
	LeaseDuration  time.Duration // after how long without a renewal an agent is succeeded
	MetricsAddress string        // "0" for none
	HealthAddress  string        // "0" for none
	Concurrency    int           // passes side by side
	APIConcurrency int           // requests to the API server in flight, but for watches, logs and the lease; 0 for 32
	Logger         logr.Logger
}

// Passes carries out what the agent calls for. It is called for each Sync by one goroutine at a time. Where it has a method
// Start(context.Context) error, that is run beside the passes, for as long as the agent leads.
type Passes interface {
	// Pass is one pass of a Sync. First says that no agent has handled it before, so that it has no releases.
	Pass(ctx context.Context, sync *v1alpha1.Sync, first bool) Report
	// Remove takes the objects of a deleted Sync away. It is done when the report's Next is 0.
	Remove(ctx context.Context, sync *v1alpha1.Sync) Report
	// Forget drops what is remembered of a Sync that is gone.
	Forget(ctx context.Context, sync types.NamespacedName)
}

// Report is what a pass wants told, and when it wants to be called again.
type Report struct {
	Status v1alpha1.Status
	// KeepBack is for how long the status may be kept back, once it differs from what was told before: a later one may
	// take its place. 0 has it told now.
	KeepBack time.Duration
	Events   []Note
	Next     time.Duration
}

// Note is an event to record on a Sync.
type Note struct{ Type, Reason, Message string }

// Run runs an agent until ctx ends. The passes are made by start once the Cluster is connected.
func Run(ctx context.Context, config *rest.Config, options AgentOptions, start func(*Cluster) (Passes, error)) error {
	known := runtime.NewScheme()
	if err := scheme.AddToScheme(known); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(known); err != nil {
		return err
	}
	ctrl.SetLogger(options.Logger)
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	config = limited(guarded(config, options, func() { lost(errLeaseOver) }), options.APIConcurrency)
	config.QPS = -1 // as in Connect: five statuses and events a second would do for no more than a few Syncs
	queue := &queue{}
	cluster, err := Connect(config, queue.carryOn)
	if err != nil {
		return err
	}
	patience := 10 * time.Second
	// By default renewed every five seconds: most of what an agent at rest asks. One that is killed is succeeded after
	// thirty; one that ends gives the lease back.
	renew, retry := options.LeaseDuration*2/3, options.LeaseDuration/6
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        known,
		Logger:                        options.Logger,
		MapperProvider:                func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return cluster.mapper, nil },
		LeaderElection:                options.LeaderElection,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       options.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &options.LeaseDuration,
		RenewDeadline:                 &renew,
		RetryPeriod:                   &retry,
		GracefulShutdownTimeout:       &patience,
		Metrics:                       metricsserver.Options{BindAddress: options.MetricsAddress},
		HealthProbeBindAddress:        options.HealthAddress,
	})
	if err != nil {
		return fmt.Errorf("preparing the agent: %w", err)
	}
	cluster.handover.notify = queue.begin
	cluster.handover.syncs = mgr.GetClient()
	if err := mgr.Add(manager.RunnableFunc(cluster.Start)); err != nil {
		return err
	}
	passes, err := start(cluster)
	if err != nil {
		return err
	}
	if beside, ok := passes.(manager.Runnable); ok {
		if err := mgr.Add(beside); err != nil {
			return err
		}
	}
	if err := control(mgr, options, queue, cluster, passes); err != nil {
		return fmt.Errorf("preparing the agent: %w", err)
	}
	for name, add := range map[string]func(string, healthz.Checker) error{"ping": mgr.AddHealthzCheck, "ready": mgr.AddReadyzCheck} {
		if err := add(name, healthz.Ping); err != nil {
			return err
		}
	}
	if err := mgr.Start(ctx); err != nil {
		return err
	}
	if errors.Is(context.Cause(ctx), errLeaseOver) {
		return errLeaseOver
	}
	return nil
}

// guarded is a client configuration whose writes are finished once begun, and only begun while the agent leads.
func guarded(config *rest.Config, options AgentOptions, lost func()) *rest.Config {
	config = rest.CopyConfig(config)
	if options.LeaderElection {
		config.Wrap(newFence(options.LeaseDuration, lost).wrap)
	}
	config.Wrap(finishing)
	config.Wrap(failpoints)
	return config
}

// passTimeout ends a pass that something outside holds up. What was begun is taken up by the next one.
const passTimeout = 5 * time.Minute

// control calls the passes for each Sync that changes, and for each that the queue names.
func control(mgr manager.Manager, options AgentOptions, queue *queue, cluster *Cluster, passes Passes) error {
	loop, err := controller.New("sync", mgr, controller.Options{
		MaxConcurrentReconciles: options.Concurrency,
		ReconciliationTimeout:   passTimeout,
		Reconciler: &reconciler{
			client:   mgr.GetClient(),
			recorder: mgr.GetEventRecorder("belay"),
			passes:   passes,
			now:      time.Now,
		},
	})
	if err != nil {
		return err
	}
	asked := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	if err := loop.Watch(newSyncSource(mgr.GetCache(), &handler.EnqueueRequestForObject{}, asked)); err != nil {
		return err
	}
	if err := loop.Watch(newSyncSource(mgr.GetCache(), cluster.attend())); err != nil {
		return err
	}
	return loop.Watch(source.Func(queue.open))
}

// queue lets watches outside the controller call for a pass.
type queue struct {
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func (q *queue) open(_ context.Context, opened workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	q.queue = opened
	return nil
}

// gathering is how long changes are gathered into one pass: a rollout of many pods changes them by the dozen.
const gathering = 20 * time.Millisecond

// begin calls a Sync for what is new to it, such as a commit.
func (q *queue) begin(sync types.NamespacedName) { q.add(sync, 0) }

// carryOn calls a Sync for what has become of its objects, ahead of those that have something new to begin: when a thousand
// Syncs take up a commit, each comes to its end soon after its beginning, and not all of them last.
func (q *queue) carryOn(sync types.NamespacedName) { q.add(sync, 1) }

func (q *queue) add(sync types.NamespacedName, priority int) {
	if q.queue == nil || sync.Name == "" {
		return
	}
	request := reconcile.Request{NamespacedName: sync}
	if prioritized, ok := q.queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{After: gathering, Priority: &priority}, request)
		return
	}
	q.queue.AddAfter(request, gathering)
}
