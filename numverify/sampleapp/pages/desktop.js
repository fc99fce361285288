// Shows how far the phone has come, and the result when it is there.
const phase = document.getElementById("phase");
const words = {
  waiting: "Waiting for your phone …",
  opened: "Your phone has opened the link. Go on there.",
  verifying: "Asking your operator …",
};
const events = new EventSource("/desktop/events");
events.addEventListener("phase", (e) => {
  phase.dataset.phase = e.data;
  if (e.data in words) {
    phase.textContent = words[e.data];
    return;
  }
  events.close();
  location.replace("/desktop");
});
