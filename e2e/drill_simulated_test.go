package e2e

// simulatedSicknesses are those for which nothing has to run.
var simulatedSicknesses = []sickness{
	{
		name: "image-pull-back-off", reason: "ImagePullBackOff", message: "pod web-.*, container web: .*not found",
		change: failing("ImagePullBackOff"),
	},
	{
		name: "crash-loop", reason: "CrashLoopBackOff", message: "pod web-.*, container web: exit code 1",
		change: failing("CrashLoopBackOff"),
	},
	{
		name: "never-ready-in-time", reason: "TimedOut", message: "not healthy within 15s: .*pod web-.* is not ready",
		change: failing("NeverReady"), health: "{timeout: 15s, stableFor: 1s}",
	},
	{
		name: "progress-deadline", reason: "ProgressDeadlineExceeded", message: "Deployment/drill-progress-deadline/web: ",
		change: web("progressDeadlineSeconds: 4, template: {metadata: {annotations: {simulate.belay.dev/fail: NeverReady}}}"),
	},
	{
		name: "tag-missing", reason: "NotFound|ImageNotFound", message: "drill:nowhere", notYet: true,
		change: container("image: $REGISTRY/drill:nowhere"),
	},
}

// web is a patch of what every good release has.
func web(spec string) string {
	return "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {" + spec + "}}"
}

// container is a patch of its only container.
func container(fields string) string {
	return web("template: {spec: {containers: [{name: web, " + fields + "}]}}")
}

// failing has the pods fail in a way that simulated nodes play: see e2e/cluster/README.md.
func failing(how string) string {
	return web("template: {metadata: {annotations: {simulate.belay.dev/fail: " + how + "}}}")
}
