//! What the web view must know about the machine before it starts.

/// Without a GPU WebKitGTK's DMABUF renderer halves the frame rate and doubles the memory: it is switched off where
/// there is no render node, unless the environment already says otherwise.
///
/// Must be called before the process has a second thread.
#[cfg(target_os = "linux")]
pub fn prepare() {
    const SWITCH: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";
    if std::env::var_os(SWITCH).is_none() && !has_render_node(std::path::Path::new("/dev/dri")) {
        // SAFETY: no other thread runs yet, as this function's contract says.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var(SWITCH, "1");
        }
    }
}

/// Other systems bring their own web view and need nothing.
#[cfg(not(target_os = "linux"))]
pub fn prepare() {}

#[cfg(target_os = "linux")]
fn has_render_node(directory: &std::path::Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("renderD"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_card_without_a_render_node_is_no_gpu() {
        let directory = tempfile::tempdir().expect("directory");
        assert!(!has_render_node(&directory.path().join("absent")));
        std::fs::write(directory.path().join("card0"), "").expect("written");
        assert!(!has_render_node(directory.path()));
        std::fs::write(directory.path().join("renderD128"), "").expect("written");
        assert!(has_render_node(directory.path()));
    }
}
